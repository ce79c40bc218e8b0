// Package browser looks at web pages in a real Chromium without a screen, for tests.
//
// A [Browser] is started for a test and ends with it; a [Page] is one tab of it. The package speaks the browser's DevTools
// protocol over a pair of pipes (--remote-debugging-pipe), so that no port is opened and no other program is needed.
//
// It promises that a page begins without cookies, cache or history, and that what the page complains about is collected
// ([Page.Complaints]): exceptions, errors and warnings on the console, refused requests, breaches of its content policy.
//
// It is no general driver: it knows what the tests of the status page need. A Browser and its Pages belong to one
// goroutine, that of the test.
package browser
