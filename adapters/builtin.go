package adapters

// Builtin returns the languages that debugbroker knows, one line each, in the order in which they are listed to users.
func Builtin() []Adapter {
	return []Adapter{
		NewDebugpy(),
		NewDelve(),
		NewNode(),
		NewJDWP(),
	}
}
