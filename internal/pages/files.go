package pages

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed templates assets locales
var embedded embed.FS

// The folders of an override, and what their files end with.
var folders = map[string][]string{
	"templates": {".html"},
	"assets":    {".css", ".js", ".svg", ".png"},
	"locales":   {".json"},
}

// file is one file of the look. Where says how an error names it.
type file struct {
	where string
	data  []byte
}

// files are those of one folder by name, the operator's in place of the embedded ones. Locales are the exception: an
// operator's is laid over ours key by key, so both are kept (locale.go).
func files(folder, override string) (ours, theirs map[string]file, err error) {
	ours, err = read(embedded, folder, "")
	if err != nil || override == "" {
		return ours, nil, err
	}
	theirs, err = read(os.DirFS(override), folder, override)
	if errors.Is(err, fs.ErrNotExist) {
		return ours, nil, nil
	}
	return ours, theirs, err
}

// checkOverride refuses a folder whose files would silently do nothing, because they are not where they belong.
func checkOverride(override string) error {
	entries, err := os.ReadDir(override)
	if err != nil {
		return fmt.Errorf("pages: override folder: %w", err)
	}
	for _, e := range entries {
		if _, known := folders[e.Name()]; !known && !strings.HasPrefix(e.Name(), ".") {
			return fmt.Errorf("pages: %s: nothing is read from here but the folders templates, assets and locales", filepath.Join(override, e.Name()))
		}
	}
	return nil
}

// read takes every file of a folder. Names with a dot in front are left alone: mounted volumes and desktops make them.
func read(from fs.FS, folder, root string) (map[string]file, error) {
	entries, err := fs.ReadDir(from, folder)
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	list := map[string]file{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		where := path.Join(folder, e.Name())
		if root != "" {
			where = filepath.Join(root, where)
		}
		if !slices.Contains(folders[folder], path.Ext(e.Name())) {
			return nil, fmt.Errorf("pages: %s: files here end with %s", where, strings.Join(folders[folder], ", "))
		}
		data, err := fs.ReadFile(from, path.Join(folder, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("pages: %s: %w", where, err)
		}
		list[e.Name()] = file{where: where, data: data}
	}
	return list, nil
}
