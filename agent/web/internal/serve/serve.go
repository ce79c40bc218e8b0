// Package serve runs an HTTP server for as long as a context lives.
package serve

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Until serves on l until ctx ends and returns nil then: requests under way get the grace to finish, what outlives it is
// cut off. It returns early, with the error, when l fails. Either way l is closed and nothing of srv runs any more, except
// handlers that ignore their request's context.
func Until(ctx context.Context, srv *http.Server, l net.Listener, grace time.Duration) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close()
		}
	})
	err := srv.Serve(l)
	if !stop() {
		<-stopped
		return nil
	}
	_ = srv.Close()
	return err
}
