package integration_test

import (
	"os"
	"testing"

	"github.com/debugbroker/debugbroker/integration/brokertest"
)

func TestMain(m *testing.M) { os.Exit(brokertest.Main(m)) }
