package bench
import "testing"
func benchIdle(b *testing.B, r *report) {}
