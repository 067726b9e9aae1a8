package app

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are this server's figures. They have a registry of their own, so that no library adds to it.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

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
	}
	m.registry.MustRegister(m.requests, m.took,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observer counts the requests of one listener. Routes are patterns, so strangers add no series.
func (m *metrics) observer(listener string) func(route string, status int, took time.Duration) {
	requests, seconds := m.requests.MustCurryWith(prometheus.Labels{"listener": listener}), m.took.MustCurryWith(prometheus.Labels{"listener": listener})
	return func(route string, status int, took time.Duration) {
		requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
		seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
