//! `pods/NAME/log`.

use crate::apiserver::Target;
use crate::apiserver::address::Query;
use crate::machinery::status::Status;
use crate::machinery::time::Time;
use crate::sim::{Cluster, PodLogOptions};

use super::message::Reply;

/// What a container wrote so far.
///
/// # Errors
/// The API server's or the kubelet's refusal.
pub(super) fn read(cluster: &Cluster, target: &Target, query: &Query) -> Result<Reply, Status> {
    let options = options(cluster.now(), query)?;
    let lines = cluster.pod_logs(&target.namespace, &target.name, &options)?;
    let mut text = String::new();
    for line in lines {
        if query.is_on("timestamps") {
            text += &line.time.to_rfc3339_micro();
            text.push(' ');
        }
        text += &line.text;
        text.push('\n');
    }
    Ok(Reply { content_type: "text/plain", ..Reply::text(200, text) })
}

fn options(now: Time, query: &Query) -> Result<PodLogOptions, Status> {
    let number = |name: &str| match query.get(name) {
        "" => Ok(None),
        text => text
            .parse::<usize>()
            .map(Some)
            .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))),
    };
    let since_seconds = number("sinceSeconds")?;
    let ago = |seconds: usize| now - std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
    Ok(PodLogOptions {
        container: query.get("container").to_owned(),
        previous: query.is_on("previous"),
        since: since_seconds.map(ago).or_else(|| Time::parse(query.get("sinceTime"))),
        tail_lines: number("tailLines")?,
        limit_bytes: number("limitBytes")?,
    })
}
