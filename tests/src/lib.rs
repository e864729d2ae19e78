//! The test kit and the suites: contract, system, browser, faults.
