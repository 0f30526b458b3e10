package graph

import "sync"

// Cache holds the network of each architecture once, however many ask for it.
// The zero value is empty. It may be used concurrently.
type Cache struct {
	mu    sync.Mutex
	built map[string]*Network
}

// New is [New] where the architecture is new to the cache, which takes some
// milliseconds.
func (c *Cache) New(a Arch) (*Network, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := c.built[a.String()]; ok {
		return n, nil
	}
	n, err := New(a)
	if err != nil {
		return nil, err
	}
	if c.built == nil {
		c.built = map[string]*Network{}
	}
	c.built[a.String()] = n
	return n, nil
}

// Keep forgets all networks but the wanted ones.
func (c *Cache) Keep(wanted map[*Network]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for arch, n := range c.built {
		if !wanted[n] {
			delete(c.built, arch)
		}
	}
}
