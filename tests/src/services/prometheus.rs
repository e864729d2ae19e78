//! Prometheus, scraping what a test runs.
