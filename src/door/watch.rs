//! A watch: the store's log from a revision on, as a client wants to see it.
//!
//! `k8s.io/apiserver/pkg/endpoints/handlers/watch.go` and `storage/cacher`. The log itself is the buffer: a client that
//! reads slowly only falls behind, and when the revision that it has come to is given up, it is told so.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::api::table::{self, IncludeObject};
use crate::api::{Object, form};
use crate::apiserver::address::Query;
use crate::apiserver::{Filter, ListOptions, Target, check_integer, too_large};
use crate::etcd::{Commit, Revision};
use crate::machinery::field::{FieldError, Path};
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;
use crate::sim::Cluster;

use super::negotiate::{Format, Shape};
use super::order;

/// How many pieces may wait for a client.
const PIECES_MAX: usize = 4;
/// About how large a piece may become.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// How many commits are looked at for one piece.
const COMMITS_MAX: usize = 500;
/// How often a client is told how far it has come, when it asked for that.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// How long before its end a watch sends its last bookmark.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// How long a watch lasts that says nothing: `--min-request-timeout`.
const TIMEOUT: Duration = Duration::from_secs(1800);
/// The annotation of the bookmark behind the objects that were there before.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// An open watch.
#[derive(Debug)]
pub(super) struct Watch {
    target: Target,
    filter: Filter,
    format: Format,
    /// Everything up to here was sent or did not matter.
    at: Revision,
    bookmark_at: Option<Time>,
    ends_at: Time,
    has_columns: bool,
    sender: mpsc::Sender<Bytes>,
}

/// Where a watch begins.
struct Start {
    /// Whether the objects that are there come first.
    with_objects: bool,
    /// Whether a bookmark follows them.
    marks_their_end: bool,
    /// The revision to begin behind, when it is not the newest.
    revision: Option<Revision>,
    /// The revision that the objects must be as new as.
    not_older_than: Revision,
}

impl Start {
    fn of(query: &Query) -> Result<Self, Status> {
        let forbidden = |why: &str| {
            let error = FieldError::forbidden(&Path::new("resourceVersionMatch"), why);
            Err(Status::invalid("meta.k8s.io", "ListOptions", "", &vec![error]))
        };
        let version = query.get("resourceVersion");
        let given: Revision = match version {
            "" => 0,
            text => text.parse().map_err(|_| {
                let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
                Status::new(Reason::Unknown, format!("resourceVersion: Invalid value: {text:?}: {why}"))
            })?,
        };
        let is_asked = query.has("sendInitialEvents");
        match (is_asked, query.get("resourceVersionMatch")) {
            (true, "NotOlderThan") | (false, "") => {}
            (true, _) => return forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
            (false, _) => {
                return forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
            }
        }
        let with_objects = if is_asked { query.is_on("sendInitialEvents") } else { given == 0 };
        Ok(Self {
            with_objects,
            marks_their_end: is_asked && with_objects && query.is_on("allowWatchBookmarks"),
            revision: Some(given).filter(|given| *given > 0 && !with_objects),
            not_older_than: given,
        })
    }
}

/// The event with which a watch ends that cannot go on.
fn error(piece: &mut String, status: &Status) {
    *piece += &format!("{}\n", json!({ "type": "ERROR", "object": status.to_value() }));
}

impl Watch {
    /// Opens a watch; what it sends can be received at once.
    ///
    /// # Errors
    /// The refusal of options that make no sense.
    pub(super) fn open(
        cluster: &Cluster,
        target: Target,
        query: &Query,
        format: Format,
    ) -> Result<(Self, mpsc::Receiver<Bytes>), Status> {
        let options = ListOptions {
            label_selector: query.get("labelSelector").to_owned(),
            field_selector: query.get("fieldSelector").to_owned(),
            ..ListOptions::default()
        };
        check_integer(query, "timeoutSeconds")?;
        let filter = Filter::parse(&target, &options)?;
        let start = Start::of(query)?;
        let timeout = query.get("timeoutSeconds").parse().ok().filter(|seconds| *seconds > 0);
        let ends_at = cluster.now() + timeout.map_or(TIMEOUT, Duration::from_secs);
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        let mut watch = Self {
            target,
            filter,
            format,
            at: start.revision.unwrap_or_else(|| cluster.api().etcd().revision()),
            bookmark_at: None,
            ends_at,
            has_columns: false,
            sender,
        };
        if query.is_on("allowWatchBookmarks") {
            watch.bookmark_at = Some(watch.next_bookmark(cluster.now()));
        }
        let newest = watch.at;
        if start.marks_their_end && start.not_older_than > newest {
            // It was waited for, in vain (`route::awaited_revision`).
            let mut piece = String::new();
            error(&mut piece, &too_large(start.not_older_than, newest));
            let _ = watch.sender.try_send(piece.into());
            watch.ends_at = cluster.now();
        } else if start.with_objects {
            watch.send_objects(cluster, start.marks_their_end);
        }
        Ok((watch, receiver))
    }

    /// The next bookmark comes a while after this one, or just before the end.
    fn next_bookmark(&self, now: Time) -> Time {
        let last = self.ends_at - LAST_BOOKMARK;
        let next = now + BOOKMARK_INTERVAL;
        if last > now { next.min(last) } else { next }
    }

    fn send_objects(&mut self, cluster: &Cluster, marks_their_end: bool) {
        let namespace = Some(&*self.target.namespace).filter(|namespace| !namespace.is_empty());
        let range = cluster.api().etcd().range(self.target.kind, namespace);
        let objects: Vec<Object> =
            range.map(|(_, object)| object).filter(|object| self.is_meant(object)).cloned().collect();
        let mut piece = String::new();
        for object in &objects {
            self.event(&mut piece, "ADDED", object, cluster);
        }
        if marks_their_end {
            self.bookmark(&mut piece, true);
        }
        // There is room: nothing was sent before.
        let _ = self.sender.try_send(piece.into());
    }

    fn is_meant(&self, object: &Object) -> bool {
        let key = object.key();
        (self.target.namespace.is_empty() || key.namespace == self.target.namespace)
            && (self.target.name.is_empty() || key.name == self.target.name)
            && self.filter.selects(object)
    }

    /// Sends what happened since the last time, as far as the client has room for it. Says whether the watch goes on.
    pub(super) fn pump(&mut self, cluster: &Cluster) -> bool {
        if self.sender.is_closed() {
            return false;
        }
        if self.sender.capacity() == 0 {
            return cluster.now() < self.ends_at;
        }
        let mut piece = String::new();
        let goes_on = self.collect(cluster, &mut piece);
        if let Some(time) = self.bookmark_at.filter(|time| *time <= cluster.now() && goes_on) {
            self.bookmark(&mut piece, false);
            self.bookmark_at = Some(self.next_bookmark(cluster.now().max(time)));
        }
        if !piece.is_empty() && self.sender.try_send(piece.into()).is_err() {
            return false;
        }
        goes_on && cluster.now() < self.ends_at
    }

    fn collect(&mut self, cluster: &Cluster, piece: &mut String) -> bool {
        let etcd = cluster.api().etcd();
        let oldest = cluster.api().watchable_from();
        let commits = etcd.watch(self.at).ok().filter(|_| self.at >= oldest);
        let Some(commits) = commits else {
            let message = format!("too old resource version: {} ({oldest})", self.at);
            error(piece, &Status::expired(message));
            return false;
        };
        for commit in commits.take(COMMITS_MAX) {
            self.at = commit.revision;
            if commit.kind() == self.target.kind {
                self.change(piece, commit, cluster);
            }
            if piece.len() > PIECE_BYTES_MAX {
                break;
            }
        }
        // The watches of a kind end with its definition, once everything is told.
        self.at < etcd.revision() || cluster.api().serves(self.target.kind)
    }

    /// What a change means to somebody who sees only what the selectors mean.
    fn change(&mut self, piece: &mut String, commit: &Commit, cluster: &Cluster) {
        let before = commit.before.as_ref().filter(|object| self.is_meant(object));
        let after = commit.after.as_ref().filter(|object| self.is_meant(object));
        match (before, after) {
            (None, None) => {}
            (None, Some(after)) => self.event(piece, "ADDED", after, cluster),
            (Some(_), Some(after)) => self.event(piece, "MODIFIED", after, cluster),
            (Some(before), None) => {
                // It goes as it was last, at the revision of its going.
                let mut last = before.clone();
                last.metadata_mut().resource_version = Some(commit.revision.to_string());
                self.event(piece, "DELETED", &last, cluster);
            }
        }
    }

    fn event(&mut self, piece: &mut String, event: &str, object: &Object, cluster: &Cluster) {
        let mut object = object.clone().in_version(self.target.kind);
        if self.format.shape != Shape::Table(IncludeObject::None) {
            cluster.api().show_owners(&mut object);
        }
        let mut shown = match self.format.shape {
            Shape::Table(include) => self.table(std::slice::from_ref(&object), include, cluster.now()),
            Shape::Metadata => table::partial_metadata(&object),
            Shape::Whole | Shape::Discovery => form::encode(&object),
        };
        order::arrange(&mut shown);
        *piece += &format!("{}\n", json!({ "type": event, "object": shown }));
    }

    /// A table of one row; only the first says what its columns are.
    fn table(&mut self, objects: &[Object], include: IncludeObject, now: Time) -> Value {
        let mut value = table::table(self.target.kind, objects, include, now);
        if let Some(version) = objects.first().and_then(|object| object.metadata().resource_version.clone()) {
            value["metadata"]["resourceVersion"] = version.into();
        }
        if std::mem::replace(&mut self.has_columns, true) {
            value["columnDefinitions"] = Value::Null;
        }
        value
    }

    fn bookmark(&mut self, piece: &mut String, ends_objects: bool) {
        let mut metadata = json!({ "resourceVersion": self.at.to_string(), "creationTimestamp": null });
        if ends_objects {
            metadata["annotations"] = json!({ INITIAL_EVENTS_END: "true" });
        }
        let mut object = match self.format.shape {
            Shape::Table(_) => json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": null, "rows": [],
            }),
            Shape::Metadata => json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1" }),
            Shape::Whole | Shape::Discovery => {
                json!({ "kind": self.target.kind.info().kind, "apiVersion": self.target.kind.api_version() })
            }
        };
        object["metadata"] = metadata;
        *piece += &format!("{}\n", json!({ "type": "BOOKMARK", "object": object }));
    }
}
