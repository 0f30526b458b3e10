package driver

import "testing"

func TestX(t *testing.T) { t.Log(Available()); _, err := Devices(); t.Log(err) }
