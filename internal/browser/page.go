package browser

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Page is one tab.
type Page struct {
	browser    *Browser
	session    string
	target     string
	complaints []string
}

func (p *Page) call(method string, params, result any) {
	p.browser.t.Helper()
	p.browser.call(p.session, method, params, result)
}

// Close closes the tab.
func (p *Page) Close() {
	p.browser.t.Helper()
	p.browser.call("", "Target.closeTarget", map[string]any{"targetId": p.target}, nil)
	delete(p.browser.pages, p.session)
}

// Look changes how the page is looked at; headers stay.
func (p *Page) Look(v View) {
	p.browser.t.Helper()
	scale := v.Scale
	if scale == 0 {
		scale = 1
	}
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": v.Width, "height": v.Height, "deviceScaleFactor": scale, "mobile": false}, nil)
	p.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": v.scheme()}}}, nil)
}

// Eval reads a JavaScript expression's value, of a promise its outcome, into result unless that is nil.
func (p *Page) Eval(expression string, result any) {
	p.browser.t.Helper()
	var answer struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	p.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if answer.Exception != nil {
		p.browser.t.Fatalf("browser: %s: %s", expression, answer.Exception.Exception.Description)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		p.browser.t.Fatalf("browser: %s: %.200s: %v", expression, answer.Result.Value, err)
	}
}

// WaitFor waits until a condition in JavaScript holds. It looks whenever the document changes.
func (p *Page) WaitFor(condition string) {
	p.browser.t.Helper()
	var held bool
	p.Eval(fmt.Sprintf(`new Promise(done => {
		const holds = () => { try { return Boolean(%s); } catch { return false; } };
		const look = () => { if (holds()) end(true); };
		const end = (held) => { watch.disconnect(); removeEventListener("load", look); clearTimeout(late); done(held); };
		const watch = new MutationObserver(look);
		const late = setTimeout(() => end(false), %d);
		watch.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
		addEventListener("load", look);
		look();
	})`, condition, (patience*3/4).Milliseconds()), &held)
	if !held {
		p.browser.t.Fatalf("browser: in vain waited for %s; the page says:\n%s", condition, p.Text())
	}
}

// Text is the text that shows.
func (p *Page) Text() (text string) {
	p.browser.t.Helper()
	p.Eval("document.body.innerText", &text)
	return text
}

// Press presses a key, such as Tab or Enter.
func (p *Page) Press(key string) {
	p.browser.t.Helper()
	code := map[string]int{"Tab": 9, "Enter": 13}[key]
	event := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code}
	if key == "Enter" {
		event["text"] = "\r"
	}
	p.call("Input.dispatchKeyEvent", event, nil)
	p.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code}, nil)
}

// Screenshot writes the part of the page that shows to a PNG file, or with whole all of it.
func (p *Page) Screenshot(file string, whole bool) {
	p.browser.t.Helper()
	var shot struct {
		Data string `json:"data"`
	}
	p.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole}, &shot)
	image, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(file, image, 0o644)
	}
	if err != nil {
		p.browser.t.Fatalf("browser: screenshot: %v", err)
	}
}

// note keeps what the page complains about.
func (p *Page) note(m message) {
	var e struct {
		Type      string `json:"type"`
		Arguments []struct {
			Value json.RawMessage `json:"value"`
		} `json:"args"`
		Exception struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
		Entry struct {
			Level string `json:"level"`
			Text  string `json:"text"`
			URL   string `json:"url"`
		} `json:"entry"`
		Issue struct {
			Code    string          `json:"code"`
			Details json.RawMessage `json:"details"`
		} `json:"issue"`
	}
	if json.Unmarshal(m.Params, &e) != nil {
		return
	}
	switch {
	case m.Method == "Runtime.consoleAPICalled" && (e.Type == "error" || e.Type == "warning" || e.Type == "assert"):
		var words []string
		for _, a := range e.Arguments {
			words = append(words, string(a.Value))
		}
		p.complaints = append(p.complaints, "console: "+strings.Join(words, " "))
	case m.Method == "Runtime.exceptionThrown":
		p.complaints = append(p.complaints, "exception: "+e.Exception.Text+" "+e.Exception.Exception.Description)
	case m.Method == "Log.entryAdded" && (e.Entry.Level == "error" || e.Entry.Level == "warning"):
		p.complaints = append(p.complaints, e.Entry.Text+" "+e.Entry.URL)
	case m.Method == "Audits.issueAdded":
		p.complaints = append(p.complaints, e.Issue.Code+" "+string(e.Issue.Details))
	}
}

// Complaints returns what the page has complained about since the last time.
func (p *Page) Complaints() []string {
	p.browser.t.Helper()
	p.Eval("0", nil) // what came before the answer has been noted
	p.browser.wire.drain(p.browser.note)
	list := p.complaints
	p.complaints = nil
	return list
}
