//! `/kubetab/v1`: what can be done to the simulation itself, and the log of all that was done.

use crate::apiserver::media_type;
use crate::machinery::json;
use crate::machinery::status::{Reason, Status};
use crate::session::{Action, Session};

use super::message::{HttpRequest, Reply};
use super::negotiate::Format;

/// Takes one action of a session's log.
///
/// # Errors
/// `BadRequest` when it is none, `ServiceUnavailable` when the session can take no more.
pub(super) fn act(session: &mut Session, request: &HttpRequest, format: &Format) -> Result<Reply, Status> {
    if media_type(&request.content_type) != "application/json" {
        // A browser's form cannot say this, so no stranger's page can act here.
        return Err(Status::new(Reason::UnsupportedMediaType, "an action is application/json"));
    }
    let value = serde_json::from_slice(&request.body).map_err(|error| Status::bad_request(error.to_string()))?;
    let action: Action = json::from_value(&value)
        .map_err(|error| Status::bad_request(format!("this is no action of a session's log: {error}")))?;
    let outcome = session.act(action).map_err(|error| Status::new(Reason::ServiceUnavailable, error.to_string()))?;
    let code = if outcome.is_success() { 200 } else { Reason::Invalid.code() };
    Ok(Reply::value(code, &json::to_value(&outcome), format))
}

/// The session as a file that the page opens.
pub(super) fn log(session: &Session) -> Reply {
    Reply { content_type: "application/json".into(), ..Reply::text(200, session.log().to_json()) }
}
