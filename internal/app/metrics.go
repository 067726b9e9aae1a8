package app

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/session"
)

// metrics are this server's figures. They have a registry of their own, so that no library adds to it.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	took      *prometheus.HistogramVec
	rotations *prometheus.CounterVec
	verdicts  map[string]prometheus.Counter // of rotations; never changed after newMetrics
}

// otherVerdict is for words this room does not know, so that no mistake can make series without bound.
const otherVerdict = "other"

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_requests_total", Help: "Answered requests by listener, route and status.",
		}, []string{"listener", "route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "countersign_request_seconds", Help: "How long answers took, by listener and route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"listener", "route"}),
		rotations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_refresh_total", Help: "Refresh tokens that were presented, by the verdict on them.",
		}, []string{"verdict"}),
		verdicts: map[string]prometheus.Counter{},
	}
	for _, verdict := range append(session.Verdicts(), otherVerdict) {
		m.verdicts[verdict] = m.rotations.WithLabelValues(verdict) // from zero, so that the first of its kind is an increase
	}
	m.registry.MustRegister(m.requests, m.took, m.rotations,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observer counts the requests of one listener. Routes are patterns and verdicts a fixed set, so strangers add no series.
func (m *metrics) observer(listener string) httpd.Observe {
	requests, seconds := m.requests.MustCurryWith(prometheus.Labels{"listener": listener}), m.took.MustCurryWith(prometheus.Labels{"listener": listener})
	return func(route string, status int, took time.Duration, said []slog.Attr) {
		requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
		seconds.WithLabelValues(route).Observe(took.Seconds())
		for i := range said {
			if said[i].Key == "rotation" {
				m.verdict(said[i].Value.String()).Inc()
			}
		}
	}
}

func (m *metrics) verdict(name string) prometheus.Counter {
	if c, ok := m.verdicts[name]; ok {
		return c
	}
	return m.verdicts[otherVerdict]
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
