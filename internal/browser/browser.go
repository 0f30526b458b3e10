// Package browser drives a headless browser in the tests of this module: pages that
// vanilla writes and serves, as people see them.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Required is the environment variable that makes a missing browser a failure.
const Required = "VANILLA_REQUIRE_BROWSER"

// hang is when a browser or a page that answers nothing is given up. It is no limit on speed: it begins anew with every
// question. On machines that do much else a training that is waited for takes minutes.
const hang = 20 * time.Minute

// names are what Chromium and its like are called.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// process is a browser that runs.
type process struct {
	once  sync.Once
	ctx   context.Context
	err   error
	close func()
}

// shared is the browser of all tabs: to start one takes longer than many a test.
var shared process

// Main is the TestMain of packages that open tabs: it runs the tests and ends the browser that they opened.
func Main(m *testing.M) {
	code := m.Run()
	if shared.close != nil {
		shared.close()
	}
	os.Exit(code)
}

// open starts the browser unless it runs.
func (p *process) open(path string) error {
	p.once.Do(func() {
		options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(hang),
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true))
		allocator, free := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, end := chromedp.NewContext(allocator)
		p.ctx, p.close = ctx, func() { end(); free() }
		p.err = chromedp.Do(ctx)
	})
	return p.err
}

// Tab is a page of a browser.
type Tab struct {
	t   *testing.T
	ctx context.Context
	end func()

	mu       sync.Mutex
	failures []string
	requests []string // addresses that were asked for
	ignored  *regexp.Regexp
}

// Open opens an empty page in a headless browser, with nothing of what other pages keep. Where there is no browser, the
// test is skipped, or fails if Required is set. Exceptions that scripts throw fail the
// test when it ends, and so do errors on the console but those that [Tab.Ignore] names.
func Open(t *testing.T) *Tab {
	t.Helper()
	path := ""
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv(Required) != "" {
			t.Fatalf("found no browser: want one of %q on the PATH, because %s is set", names, Required)
		}
		t.Skipf("found no browser: none of %q is on the PATH", names)
	}
	if err := shared.open(path); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	ctx, cancel := chromedp.NewContext(shared.ctx, chromedp.WithNewBrowserContext())
	tab := &Tab{t: t, ctx: ctx}
	tab.end = sync.OnceFunc(func() {
		cancel()
		tab.mu.Lock()
		defer tab.mu.Unlock()
		for _, f := range tab.failures {
			if tab.ignored == nil || !tab.ignored.MatchString(f) {
				t.Errorf("the page failed: %s", f)
			}
		}
	})
	t.Cleanup(tab.end)
	if err := chromedp.Do(ctx); err != nil { // not with a deadline: what it starts ends with its context
		t.Fatal(err)
	}
	err := chromedp.Listen(ctx, func(event any) {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			what := e.ExceptionDetails.Text
			if e.ExceptionDetails.Exception != nil { // its text with the calls that led there
				what += " " + e.ExceptionDetails.Exception.Description
			}
			tab.failures = append(tab.failures, fmt.Sprintf("%s at %s:%d", what, e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber+1))
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
				tab.failures = append(tab.failures, fmt.Sprintf("%s on the console: %+v", e.Type, e.Args))
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
				tab.failures = append(tab.failures, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
			}
		case *network.EventRequestWillBeSent:
			tab.requests = append(tab.requests, e.Request.URL)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	call(tab, log.Enable, cdp.Empty{})
	call(tab, network.Enable, network.EnableParams{})
	// Of several tabs only one would have the focus.
	call(tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	return tab
}

// Ignore names what may be on the console: a regular expression.
func (tab *Tab) Ignore(expression string) { tab.ignored = regexp.MustCompile(expression) }

// Requests are the addresses that the page has asked for.
func (tab *Tab) Requests() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return slices.Clone(tab.requests)
}

// call sends the browser a command of its protocol.
func call[P, R any](tab *Tab, command cdp.Command[P, R], parameters P) {
	tab.t.Helper()
	tab.Do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, parameters)
		return err
	}))
}

// Prefer sets what CSS calls media features: prefers-color-scheme and the like.
func (tab *Tab) Prefer(features map[string]string) {
	tab.t.Helper()
	var media []*emulation.MediaFeature
	for name, value := range features {
		media = append(media, &emulation.MediaFeature{Name: name, Value: value})
	}
	call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: media})
}

// Do runs actions on the page, one after the other.
func (tab *Tab) Do(actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	if _, err := within(tab, chromedp.Steps(actions...)); err != nil {
		tab.t.Fatal(err)
	}
}

// within runs an action that must not hang.
func within[T any](tab *Tab, action chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(tab.ctx, hang)
	defer cancel()
	return chromedp.Run(ctx, action)
}

// Ask evaluates an expression of JavaScript on the page.
func Ask[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	answer, err := within(tab, chromedp.Evaluate[T](expression))
	if err != nil {
		tab.t.Fatalf("%s: %v", expression, err)
	}
	return answer
}

// Await evaluates an expression that is a promise.
func Await[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	answer, err := within(tab, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tab.t.Fatalf("%s: %v", expression, err)
	}
	return answer
}

// Load goes to an address and waits until all of its page is there. That the browser says so is not enough: it may say it
// of the page before.
func (tab *Tab) Load(address string) {
	tab.t.Helper()
	tab.Do(chromedp.Navigate(address))
	page, _, _ := strings.Cut(address, "#")
	tab.Until(fmt.Sprintf(`document.readyState === "complete" && location.href.split("#")[0] === %q`, page))
}

// Until waits until an expression of JavaScript is true on the page.
func (tab *Tab) Until(expression string) {
	tab.t.Helper()
	tab.until(expression+" is true", func() bool { return Ask[bool](tab, expression) })
}

// until waits for something.
func (tab *Tab) until(what string, happened func() bool) {
	tab.t.Helper()
	for begin := time.Now(); !happened(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > hang {
			tab.t.Fatalf("gave up to wait until %s", what)
		}
	}
}
