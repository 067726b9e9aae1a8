package app

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/countersign/countersign/internal/config"
)

func (o Options) logger(c *config.Config) *slog.Logger {
	if o.Log != nil {
		return o.Log
	}
	out := o.Stderr
	if out == nil {
		out = os.Stderr
	}
	return newLogger(out, c.Log)
}

func newLogger(out io.Writer, l config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}

// quiet lets warnings and errors through: a probe that is answered every second is no news, one that fails is.
type quiet struct{ slog.Handler }

// Enabled tells whether a record of this level is written.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}
