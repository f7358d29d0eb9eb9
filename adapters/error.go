package adapters

// Code classifies an Error for exit codes.
type Code string

// The codes.
const (
	Usage    Code = "usage"         // the request makes no sense
	NotFound Code = "not-found"     // program, directory or listener is not there
	Missing  Code = "missing-tool"  // interpreter or debug server is not there
	Died     Code = "program-ended" // the program or its build ended before it could be debugged
	Internal Code = "internal"
	Denied   Code = "no-permission" // the right to trace or to signal is missing
	Foreign  Code = "unsuitable"    // the process is there, and cannot be debugged as it is
)

// Error is why there is no plan.
type Error struct {
	Code    Code
	Message string
	Hint    string
}

func (e *Error) Error() string { return e.Message }
