//! DefaultBinder: asks the API server to bind the pod.

/// The message of the pod's condition and event when the API server refuses: the error as the framework wraps it.
#[must_use]
pub fn failure_message(error: &str) -> String {
    format!("running Bind plugin \"DefaultBinder\": {error}")
}
