package page

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// policy lets the page load its own parts and nothing else, and be part of no other page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; frame-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard refuses requests that other sites make a browser send, limits what a request may send, and sets the headers
// that all answers have.
//
// Another site's name may resolve to this machine ("DNS rebinding"); its scripts would then be of the same origin as the
// page. So the host must be one that no such site has: localhost, an IP address, or the name that the server was started
// with.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !s.known(r.Host):
			refuse(w, http.StatusMisdirectedRequest, "the host %.60q is not this server's: want localhost or an IP address", r.Host)
			return
		case !sameOrigin(r):
			refuse(w, http.StatusForbidden, "the request is another site's")
			return
		case r.ContentLength > maxBodyBytes:
			h.Set("Connection", "close")
			refuse(w, http.StatusRequestEntityTooLarge, "expected a body of at most %d bytes, found %d", maxBodyBytes, r.ContentLength)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		next.ServeHTTP(w, r)
	})
}

// known says whether a host, with or without a port, is the server's.
func (s *Server) known(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	if strings.EqualFold(name, "localhost") || s.host != "" && strings.EqualFold(name, s.host) {
		return true
	}
	_, err = netip.ParseAddr(name)
	return err == nil
}

// sameOrigin says whether the page itself sent a request, or somebody who typed the address.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		// A link may lead to the page.
		if r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Method != http.MethodGet {
			return false
		}
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}
