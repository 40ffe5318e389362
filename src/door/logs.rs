//! `pods/NAME/log`, once or for as long as the container runs.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::api::{Kind, Object};
use crate::apiserver::address::Query;
use crate::apiserver::{Target, check_integer};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::status::Status;
use crate::machinery::time::Time;
use crate::sim::{Cluster, PodLogOptions};

use super::message::Reply;

/// How often the log of a container that is followed is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);
/// How many pieces may wait for a client that follows.
const PIECES_MAX: usize = 16;

/// What a container wrote so far.
///
/// # Errors
/// The API server's or the kubelet's refusal.
pub(super) fn read(cluster: &Cluster, target: &Target, query: &Query) -> Result<Reply, Status> {
    let options = options(cluster.now(), &target.name, query)?;
    let lines = cluster.pod_logs(&target.namespace, &target.name, &options)?;
    let mut text = String::new();
    for line in lines {
        write(&mut text, line.time, &line.text, query.is_on("timestamps"));
    }
    Ok(Reply { content_type: CONTENT_TYPE.into(), ..Reply::text(200, text) })
}

const CONTENT_TYPE: &str = "text/plain";

fn write(text: &mut String, time: Time, line: &str, with_time: bool) {
    if with_time {
        *text += &time.to_rfc3339_micro();
        text.push(' ');
    }
    *text += line;
    text.push('\n');
}

/// A client that follows a container's log.
#[derive(Debug)]
pub(super) struct Follow {
    target: Target,
    options: PodLogOptions,
    with_times: bool,
    /// The time of the last line that was sent, and how many lines of that time were.
    sent: Option<(Time, usize)>,
    look_at: Time,
    sender: mpsc::Sender<Bytes>,
}

impl Follow {
    /// Begins with what there is.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal.
    pub(super) fn open(cluster: &Cluster, target: Target, query: &Query) -> Result<(Self, Reply), Status> {
        let options = options(cluster.now(), &target.name, query)?;
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        let with_times = query.is_on("timestamps");
        let mut follow = Self { target, options, with_times, sent: None, look_at: cluster.now(), sender };
        follow.send_new(cluster)?;
        // The end of the log was asked for once; from here on everything is new.
        follow.options.tail_lines = None;
        Ok((follow, Reply::stream(CONTENT_TYPE, receiver)))
    }

    /// Sends what was written since. Says whether there may be more.
    pub(super) fn pump(&mut self, cluster: &Cluster) -> bool {
        if self.sender.is_closed() {
            return false;
        }
        if cluster.now() < self.look_at || self.sender.capacity() == 0 {
            return true;
        }
        self.look_at = cluster.now() + FOLLOW_INTERVAL;
        // Whether it runs is asked first, so that its last words are not lost.
        let runs = self.runs(cluster);
        self.send_new(cluster).is_ok() && runs
    }

    fn send_new(&mut self, cluster: &Cluster) -> Result<(), Status> {
        let mut options = self.options.clone();
        if let Some((time, _)) = self.sent {
            options.since = Some(time);
        }
        let lines = cluster.pod_logs(&self.target.namespace, &self.target.name, &options)?;
        let known = self.sent.map_or(0, |(_, count)| count);
        let mut text = String::new();
        for line in lines.into_iter().skip(known) {
            write(&mut text, line.time, &line.text, self.with_times);
            self.sent = match self.sent {
                Some((time, count)) if time == line.time => Some((time, count + 1)),
                _ => Some((line.time, 1)),
            };
        }
        if !text.is_empty() {
            // A client that has gone is noticed the next time.
            let _ = self.sender.try_send(text.into());
        }
        Ok(())
    }

    fn runs(&self, cluster: &Cluster) -> bool {
        let Some(Object::Pod(pod)) = cluster.api().etcd().get(Kind::Pod, &self.target.key()) else { return false };
        let Some(status) = &pod.status else { return false };
        let all = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
        let mut known = all.into_iter().flatten().flatten();
        let found = known.find(|known| self.options.container.is_empty() || known.name == self.options.container);
        let state = found.and_then(|container| container.state.as_ref());
        !self.options.previous && state.is_some_and(|state| state.running.is_some())
    }
}

fn options(now: Time, pod: &str, query: &Query) -> Result<PodLogOptions, Status> {
    let number = |name: &str| {
        check_integer(query, name)?;
        Ok::<_, Status>(query.get(name).parse::<i64>().ok())
    };
    let (tail_lines, limit_bytes) = (number("tailLines")?, number("limitBytes")?);
    let (since_seconds, since_time) = (number("sinceSeconds")?, Time::parse(query.get("sinceTime")));
    let mut errors = ErrorList::new();
    let mut check = |name: &str, value: Option<i64>, least: i64, detail: &str| {
        if let Some(value) = value.filter(|value| *value < least) {
            errors.push(FieldError::invalid(&Path::new(name), value, detail));
        }
    };
    check("tailLines", tail_lines, 0, "must be greater than or equal to 0");
    check("limitBytes", limit_bytes, 1, "must be greater than 0");
    if since_seconds.is_some() && since_time.is_some() {
        let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        errors.push(FieldError::forbidden(&Path::new(""), detail));
    } else {
        check("sinceSeconds", since_seconds, 1, "must be greater than 0");
    }
    if !errors.is_empty() {
        return Err(Status::invalid("", "PodLogOptions", pod, &errors));
    }
    let size = |value: Option<i64>| value.and_then(|value| usize::try_from(value).ok());
    let ago = |seconds: usize| now - Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
    Ok(PodLogOptions {
        container: query.get("container").to_owned(),
        previous: query.is_on("previous"),
        since: size(since_seconds).map(ago).or(since_time),
        tail_lines: size(tail_lines),
        limit_bytes: size(limit_bytes),
    })
}
