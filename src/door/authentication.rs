//! Who asks: the door's one administrator, the bearer of a service account's token, or whoever one of these wants to be.
//!
//! `k8s.io/apiserver/pkg/endpoints/filters/impersonation`. Nobody has to log in: whoever reaches the door without a token
//! may do everything, and so may impersonate everybody (`kubectl --as`, `--as-group`, `--as-uid`).

use crate::apiserver::authorization::Attributes;
use crate::apiserver::{Caller, User};
use crate::machinery::status::{Reason, Status};

use crate::sim::Cluster;

use super::message::HttpRequest;

const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Whom a request wants to be: the `Impersonate-…` headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impersonation {
    /// `Impersonate-User`.
    pub user: String,
    /// `Impersonate-Uid`.
    pub uid: String,
    /// `Impersonate-Group`, as often as it was given.
    pub groups: Vec<String>,
    /// `Impersonate-Extra-…`: the names behind it, in small letters, each with a value.
    pub extra: Vec<(String, String)>,
}

/// Who sends a request; nothing for the administrator.
///
/// # Errors
/// `Unauthorized` for a token that is not taken, `Forbidden` when its bearer may not be somebody else, and as
/// [`impersonated`].
pub(super) fn caller(request: &HttpRequest, cluster: &Cluster) -> Result<Option<Caller>, Status> {
    let bearer = match request.token.as_str() {
        "" => None,
        token => Some(cluster.api().authenticate(cluster.now(), token)?),
    };
    let Some(wanted) = impersonated(request)? else { return Ok(bearer.as_ref().map(Caller::of)) };
    if let Some(bearer) = &bearer {
        let account = wanted.name.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':'));
        let (namespace, resource, name) = match account {
            Some((namespace, name)) => (namespace, "serviceaccounts", name),
            None => ("", "users", wanted.name.as_str()),
        };
        let verb = "impersonate";
        let wish = Attributes::Resource { verb, namespace, group: "", resource, subresource: "", name };
        cluster.api().authorize_attributes(bearer, &wish)?;
        // Every group that is asked for needs a right of its own, or a user's right would give all.
        for name in &request.impersonation.groups {
            let wish =
                Attributes::Resource { verb, namespace: "", group: "", resource: "groups", subresource: "", name };
            cluster.api().authorize_attributes(bearer, &wish)?;
        }
    }
    Ok(Some(wanted))
}

/// The user that a caller is.
pub(super) fn user(caller: Option<&Caller>) -> User {
    caller.map_or_else(User::admin, Caller::user)
}

/// Whom a request wants to be.
///
/// # Errors
/// `InternalError` for groups and the like without a user, as upstream has it.
fn impersonated(request: &HttpRequest) -> Result<Option<Caller>, Status> {
    let Impersonation { user, uid, groups, extra } = &request.impersonation;
    if user.is_empty() {
        let is_empty = groups.is_empty() && uid.is_empty() && extra.is_empty();
        let wanted: Vec<String> = groups.iter().map(|group| format!("{{Group  {group}    }}")).collect();
        let address = &request.path;
        let message = format!(
            "Internal Server Error: {address:?}: requested [{}] without impersonating a user name",
            wanted.join(" ")
        );
        return if is_empty { Ok(None) } else { Err(Status::new(Reason::InternalError, message)) };
    }
    let wanted = Caller::of(&User::impersonated(user, groups));
    Ok(Some(Caller { uid: uid.clone(), extra: extra.clone(), ..wanted }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(user: &str, groups: &[&str]) -> Result<Vec<String>, u16> {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let impersonation = Impersonation { user: user.to_owned(), groups, ..Impersonation::default() };
        let request = HttpRequest { impersonation, ..HttpRequest::default() };
        impersonated(&request)
            .map(|caller| caller.map(|caller| caller.groups).unwrap_or_default())
            .map_err(|error| error.code())
    }

    #[test]
    fn whoever_is_impersonated_is_in_the_groups_that_go_with_it() {
        assert_eq!(groups("", &[]).expect("the administrator"), [""; 0]);
        assert_eq!(groups("jane", &[]).expect("a user"), ["system:authenticated"]);
        assert_eq!(groups("jane", &["dev"]).expect("a user"), ["dev", "system:authenticated"]);
        assert_eq!(groups("jane", &["system:unauthenticated"]).expect("a user"), ["system:unauthenticated"]);
        assert_eq!(groups("system:anonymous", &[]).expect("nobody"), ["system:unauthenticated"]);
        let account = groups("system:serviceaccount:a:b", &[]).expect("an account");
        assert_eq!(account, ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]);
        assert_eq!(groups("", &["dev"]), Err(500));
    }
}
