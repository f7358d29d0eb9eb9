package adapters

import (
	"fmt"
	"testing"
	"time"
)

// family starts a child as it is told to.
const family = `import sys, time, multiprocessing, subprocess
def work(n):
    a = n + 1
    b = a + 1
    c = b + 1
    d = c + 1
    return d
def loop():
    for i in range(1000000):
        work(i)
        time.sleep(0.001)
if __name__ == "__main__":
    if sys.argv[1] == "fork":
        multiprocessing.set_start_method("fork")
        child = multiprocessing.Process(target=loop)
        child.start()
        child.join()
    elif sys.argv[1] == "exec":
        subprocess.call([sys.executable, __file__, "loop"])
    else:
        loop()
`

func TestDebugpyChildren(t *testing.T) {
	for _, method := range []string{"fork", "exec"} {
		for _, stock := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,stock=%t", method, stock), func(t *testing.T) {
				file := script(t, family)
				d := launch(t, debugpyPlan(t, Request{Program: []string{file, method}, Wait: true, Stock: stock, Env: newerDebugpy()}))
				parent := d.front()
				parent.attach(nil, file)
				var child dict
				parent.WaitEvent("debugpyAttach", &child)
				c := d.front()
				c.attach(child, file, 4)
				s := c.stopped()
				if s.locals["a"] == "" {
					t.Fatalf("stopped at %+v with %v", s.frame, s.locals)
				}
				begun := time.Now()
				for range 3 {
					s = c.next(s)
				}
				t.Logf("a step of a %s child: %v", method, time.Since(begun)/3)
				c.Close()
				parent.Close()
				d.afterLast()
			})
		}
	}
}
