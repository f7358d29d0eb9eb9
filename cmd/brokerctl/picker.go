package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/debugbroker/debugbroker/broker/api"
)

// picker is a list on the terminal of which the user takes one, for bubbletea. All text in it is clean.
type picker struct {
	title  string
	rows   []pickerRow
	paint  func(colour, s string) string
	width  int
	height int

	filter string
	shown  []int // of rows, those that the filter lets through
	at     int   // of shown, where the cursor stands
	note   string
	chosen int  // of rows, once it is over; -1 is none
	over   bool // nothing is drawn any more
}

// pickerRow is one line to pick.
type pickerRow struct {
	cells []string
	text  string // what the filter looks at: all of it, not what fits
	taken string // why it cannot be had, "" where it can
}

// pickerFrame is the lines around the list: title, filter, head, note.
const pickerFrame = 4

func newPicker(title string, list []choice, t terminal) *picker {
	p := &picker{title: title, paint: t.paint, chosen: -1}
	p.width, p.height = t.size()
	for _, c := range list {
		process := api.Process(c)
		marks := []string{}
		if why := c.taken(); why != "" {
			marks = append(marks, why)
		}
		if c.Container != "" {
			marks = append(marks, "in "+clean(c.Container))
		}
		command := processCommand(process)
		if len(marks) > 0 {
			command = "(" + strings.Join(marks, ", ") + ") " + command
		}
		cells := []string{strconv.Itoa(c.PID), dash(clean(c.User)), dash(listening(process)), command}
		p.rows = append(p.rows, pickerRow{cells: cells, text: strings.ToLower(strings.Join(cells, " ")), taken: c.taken()})
	}
	p.refilter()
	return p
}

// Init is tea.Model's.
func (p *picker) Init() tea.Cmd { return nil }

// Update is tea.Model's.
func (p *picker) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		p.width, p.height = msg.Width, msg.Height
	case tea.PasteMsg:
		p.filter += clean(msg.Content)
		p.refilter()
	case tea.KeyPressMsg:
		return p, p.press(msg)
	}
	return p, nil
}

func (p *picker) press(key tea.KeyPressMsg) tea.Cmd {
	p.note = ""
	switch key.String() {
	case "esc", "ctrl+c":
		p.over = true
		return tea.Quit
	case "enter":
		if len(p.shown) == 0 {
			return nil
		}
		row := p.shown[p.at]
		if why := p.rows[row].taken; why != "" {
			p.note = "this one cannot be opened: " + why
			return nil
		}
		p.chosen, p.over = row, true
		return tea.Quit
	case "up", "ctrl+p":
		p.move(-1)
	case "down", "ctrl+n":
		p.move(1)
	case "pgup":
		p.move(-p.room())
	case "pgdown":
		p.move(p.room())
	case "backspace":
		_, last := utf8.DecodeLastRuneInString(p.filter)
		p.filter = p.filter[:len(p.filter)-last]
		p.refilter()
	case "ctrl+u":
		p.filter = ""
		p.refilter()
	default:
		if text := clean(key.Text); text != "" {
			p.filter += text
			p.refilter()
		}
	}
	return nil
}

func (p *picker) move(by int) { p.at = max(0, min(p.at+by, len(p.shown)-1)) }

// room is how many rows fit.
func (p *picker) room() int { return max(1, min(len(p.rows), p.height-pickerFrame)) }

// refilter shows the rows that hold every word of the filter.
func (p *picker) refilter() {
	p.shown, p.at = nil, 0
	words := strings.Fields(strings.ToLower(p.filter))
	for i, row := range p.rows {
		fits := true
		for _, w := range words {
			fits = fits && strings.Contains(row.text, w)
		}
		if fits {
			p.shown = append(p.shown, i)
		}
	}
}

// View is tea.Model's. A line is a column shorter than the screen, for the terminals that wrap in the last.
func (p *picker) View() tea.View {
	if p.over {
		return tea.NewView("")
	}
	width := max(0, p.width-1)
	cells := make([][]string, 0, len(p.rows))
	for _, row := range p.rows {
		cells = append(cells, row.cells)
	}
	lines := table([]string{"PID", "USER", "LISTENING", "COMMAND"}, cells, max(0, width-2))
	out := []string{cut(p.title+" Type to filter, Enter opens, Esc leaves.", width), cut("/"+p.filter, width), p.paint(dim, "  "+lines[0])}
	room := p.room()
	from := max(0, min(p.at-room/2, len(p.shown)-room))
	for i, row := range p.shown[from:min(len(p.shown), from+room)] {
		line := lines[row+1]
		switch {
		case from+i == p.at:
			line = "> " + p.paint(green, line)
		case p.rows[row].taken != "":
			line = "  " + p.paint(dim, line)
		default:
			line = "  " + line
		}
		out = append(out, line)
	}
	note := p.note
	if note == "" && (len(p.shown) < len(p.rows) || len(p.shown) > room) {
		note = fmt.Sprintf("%d of %d", len(p.shown), len(p.rows))
	}
	return tea.NewView(strings.Join(append(out, p.paint(yellow, cut(note, width))), "\n"))
}
