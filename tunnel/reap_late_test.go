package tunnel

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A lifeline that wakes while Reap works may write its records into the directory that Reap removes: on a busy host nothing must be
// left of it either.
func TestReapAgainstALateWriter(t *testing.T) {
	h := NewLocal(LocalOptions{})
	t.Cleanup(h.Release)
	ws := suiteDir(t, h)
	var writer sync.WaitGroup
	begun := make(chan struct{})
	writer.Go(func() {
		until := time.Now().Add(400 * time.Millisecond)
		for i := 0; time.Now().Before(until); i++ {
			_ = os.WriteFile(filepath.Join(ws, fmt.Sprintf(".dbk-1000%d", i%100)), []byte("1 boot"), 0o600) // an error once it is gone
			if i == 100 {
				close(begun)
			}
		}
	})
	<-begun
	if left, err := h.Reap(t.Context(), ws); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
	writer.Wait()
}
