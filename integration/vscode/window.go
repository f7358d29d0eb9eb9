package vscode

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// startLimit bounds Chromium's start, on a loaded machine with a cold disk.
const startLimit = time.Minute

// Window is VS Code's window.
type Window struct {
	ctx   context.Context
	stops []func()
}

// Open starts the Chromium at path chromium with a new profile, and opens folder and in it file, with the cursor in line. ctx bounds the
// window's whole life.
func Open(ctx context.Context, chromium, profile string, s *Server, folder, file string, line int) (*Window, error) {
	alloc, stopAlloc := chromedp.NewExecAllocator(ctx,
		chromedp.ExecPath(chromium), chromedp.UserDataDir(profile), chromedp.WindowSize(1280, 900), chromedp.WSURLReadTimeout(startLimit),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		// Nothing but the window's own address is asked for.
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("no-proxy-server", true), chromedp.Flag("disable-dev-shm-usage", true),
	)
	tab, stopTab := chromedp.NewContext(alloc)
	w := &Window{tab, []func(){stopTab, stopAlloc}}
	if _, err := chromedp.Run(tab, chromedp.Navigate(s.address(folder, file, line))); err != nil {
		w.Close()
		return nil, fmt.Errorf("open the window: %w", err)
	}
	return w, nil
}

// waitLimit bounds each wait. It is for a loaded machine; usual is a second.
const waitLimit = 60 * time.Second

// Await waits until an expression, which is JavaScript, is true in the window.
func (w *Window) Await(what, expression string) error { return w.await(waitLimit, what, expression) }

func (w *Window) await(limit time.Duration, what, expression string) error {
	ctx, cancel := context.WithTimeout(w.ctx, limit)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(0)))
	if err != nil {
		return fmt.Errorf("the window does not show %s: %w", what, err)
	}
	return nil
}

// keyLimit is how long a key that was not lost takes to show its effect.
const keyLimit = 10 * time.Second

// Until does what act does until the expression is true, at most a few times: what is pressed before the window is ready for it is lost.
func (w *Window) Until(what, expression string, act func() error) error {
	var err error
	for range waitLimit / keyLimit {
		if err := act(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if err = w.await(keyLimit, what, expression); err == nil || w.ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Debug presses F5: start, or continue.
func (w *Window) Debug() error { return w.press(kb.F5) }

// Breakpoint presses F9: set or clear one where the cursor is.
func (w *Window) Breakpoint() error { return w.press(kb.F9) }

// Stop presses Shift+F5, which leaves a program that was attached to.
func (w *Window) Stop() error { return w.press(kb.F5, chromedp.KeyModifiers(kb.ModifierShift)) }

func (w *Window) press(key string, opts ...chromedp.KeyOption) error {
	_, err := chromedp.Run(w.ctx, chromedp.KeyEvent(key, opts...))
	return err
}

// Text is what the window shows.
func (w *Window) Text() string {
	text, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(text), " ")
}

// Close ends Chromium and its children.
func (w *Window) Close() {
	for _, stop := range w.stops {
		stop()
	}
}
