//! Comparisons that fail on NaN and conformance suites. A dev-dependency only.
