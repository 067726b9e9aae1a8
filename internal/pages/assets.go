package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/httpd"
)

const assetsPath = "/assets/"

// asset is a file that pages load: its address has a hash of what is in it, so that it may be kept for ever.
type asset struct {
	file
	hash      string
	mediaType string
}

var (
	assetName  = regexp.MustCompile(`^[a-z0-9]+([_-][a-z0-9]+)*\.[a-z]+$`)
	hashedName = regexp.MustCompile(`^([a-z0-9_-]+)-([0-9a-f]{16})(\.[a-z]+)$`)

	mediaTypes = map[string]string{
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
		".png": "image/png",
	}
)

func loadAssets(override string) (map[string]*asset, error) {
	ours, theirs, err := files("assets", override)
	if err != nil {
		return nil, err
	}
	list := map[string]*asset{}
	for _, from := range []map[string]file{ours, theirs} {
		for name, f := range from {
			if !assetName.MatchString(name) {
				return nil, fmt.Errorf("pages: %s: the name of an asset has small letters, digits and dashes only", f.where)
			}
			sum := sha256.Sum256(f.data)
			list[name] = &asset{file: f, hash: hex.EncodeToString(sum[:8]), mediaType: mediaTypes[path.Ext(name)]}
		}
	}
	return list, nil
}

// assetURL is where a page finds an asset.
func (l *Look) assetURL(name string) (string, error) {
	a := l.assets[name]
	if a == nil {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	ext := path.Ext(name)
	return assetsPath + strings.TrimSuffix(name, ext) + "-" + a.hash + ext, nil
}

// Routes are those of the assets. They need no flow and no cookie.
func (l *Look) Routes() []httpd.Route {
	return []httpd.Route{{Method: http.MethodGet, Path: assetsPath + "{file}", Handler: l.serveAsset}}
}

// serveAsset answers with what this node has of that name. While nodes of two releases stand side by side a page of
// one may ask the other: it gets the other's file, which nobody may keep, and not a page without style.
func (l *Look) serveAsset(w http.ResponseWriter, r *http.Request) {
	m := hashedName.FindStringSubmatch(r.PathValue("file"))
	h := w.Header()
	var a *asset
	if len(m) > 0 {
		a = l.assets[m[1]+m[3]]
	}
	if a == nil {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("There is no such file.\n"))
		return
	}
	etag := `"` + a.hash + `"`
	if m[2] == a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("ETag", etag)
		if matches(r.Header.Get("If-None-Match"), etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", a.mediaType)
	h.Set("Content-Length", strconv.Itoa(len(a.data)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(a.data)
}

// matches compares weakly, as If-None-Match does (RFC 9110 §13.1.2).
func matches(header, etag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == etag || part == "*" {
			return true
		}
	}
	return false
}
