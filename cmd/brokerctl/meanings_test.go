package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

// TestEveryCodeIsExplained reads the codes where they are declared: a new one must be in `help errors`.
func TestEveryCodeIsExplained(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../broker/api/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for _, v := range spec.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					s, _ := strconv.Unquote(lit.Value)
					declared[s] = true
				}
			}
		}
		return true
	})
	if len(declared) == 0 {
		t.Fatal("no codes found")
	}
	for _, m := range meanings() {
		if !declared[string(m.Code)] || m.Meaning == "" || m.Exit == 0 {
			t.Errorf("%+v", m)
		}
		delete(declared, string(m.Code))
	}
	for c := range declared {
		t.Errorf("%q is not explained", c)
	}
}
