//! Get and list.

use crate::api::{Object, ObjectKey};
use crate::etcd::{Etcd, Revision, StoreError};
use crate::machinery::fields::Selector as FieldSelector;
use crate::machinery::labels::Selector;
use crate::machinery::persistent::OrdMap;
use crate::machinery::status::{Cause, Details, Reason, Status};

use super::continuation::Continuation;
use super::fields::field_value;
use super::{ApiServer, List, ListOptions, Target, VersionMatch};

/// The parsed selectors of a list or a watch.
#[derive(Clone, Debug)]
pub struct Filter {
    labels: Selector,
    fields: FieldSelector,
}

impl Filter {
    /// The selectors of `options`.
    ///
    /// # Errors
    /// `BadRequest` when they cannot be read, or name a field that the kind cannot be selected by.
    pub fn parse(target: &Target, options: &ListOptions) -> Result<Self, Status> {
        let labels = Selector::parse(&options.label_selector).map_err(Status::bad_request)?;
        let fields = FieldSelector::parse(&options.field_selector).map_err(Status::bad_request)?;
        for requirement in fields.requirements() {
            super::fields::check_label(target.kind, requirement.field())?;
        }
        Ok(Self { labels, fields })
    }

    /// Whether an object is meant.
    #[must_use]
    pub fn selects(&self, object: &Object) -> bool {
        (self.labels.is_empty() || self.labels.matches(&labels_of(object)))
            && self.fields.requirements().iter().all(|requirement| {
                requirement.matches_value(&field_value(object, requirement.field()).unwrap_or_default())
            })
    }
}

fn labels_of(object: &Object) -> std::collections::BTreeMap<String, String> {
    object.metadata().labels.clone().unwrap_or_default()
}

impl ApiServer {
    pub(super) fn get(&self, target: &Target) -> Result<Object, Status> {
        let key = target.key();
        let found = self.etcd.get(target.kind, &key).cloned().ok_or_else(|| Self::not_found(target.kind, &key))?;
        Ok(found.in_version(target.kind))
    }

    pub(super) fn list(&self, target: &Target, options: &ListOptions) -> Result<List, Status> {
        let filter = Filter::parse(target, options)?;
        let (revision, after) = self.list_revision(target, options)?;
        let namespace = Some(&*target.namespace).filter(|namespace| !namespace.is_empty());
        let past;
        let objects: Box<dyn Iterator<Item = (&ObjectKey, &Object)>> = if revision == self.etcd.revision() {
            Box::new(self.etcd.range_after(target.kind, namespace, after))
        } else {
            past = at_revision(&self.etcd, target, revision)?;
            Box::new(past.iter().filter(move |(key, _)| {
                namespace.is_none_or(|namespace| &*key.namespace == namespace)
                    && after.as_ref().is_none_or(|after| *key > after)
            }))
        };
        let mut selected = objects.filter(|(_, object)| filter.selects(object));
        let limit = if options.limit == 0 { usize::MAX } else { options.limit };
        let mut items = Vec::new();
        let mut last: Option<ObjectKey> = None;
        for (key, object) in selected.by_ref().take(limit) {
            last = Some(key.clone());
            items.push(object.clone());
        }
        let remaining = if options.limit == 0 { 0 } else { selected.count() };
        let continue_token = match last {
            Some(after) if remaining > 0 => Continuation { revision: Some(revision), after }.encode(target),
            _ => String::new(),
        };
        // The server does not count what selectors would leave out.
        let unselected = options.label_selector.is_empty() && options.field_selector.is_empty();
        let remaining = (remaining > 0 && unselected).then_some(remaining);
        Ok(List { kind: target.kind, items, revision, continue_token, remaining })
    }

    /// The revision that a list is to be answered at, and where it begins.
    fn list_revision(&self, target: &Target, options: &ListOptions) -> Result<(Revision, Option<ObjectKey>), Status> {
        if !options.continue_token.is_empty() {
            let continuation = Continuation::decode(&options.continue_token, target)?;
            if !matches!(options.resource_version.as_str(), "" | "0") {
                return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
            }
            return match continuation.revision {
                Some(revision) if revision < self.etcd.compacted() => Err(continuation.expired(target)),
                Some(revision) if revision > self.etcd.revision() => Err(continuation.expired(target)),
                revision => Ok((revision.unwrap_or(self.etcd.revision()), Some(continuation.after))),
            };
        }
        let newest = self.etcd.revision();
        if options.resource_version.is_empty() || options.resource_version == "0" {
            return Ok((newest, None));
        }
        let wanted: Revision = options.resource_version.parse().map_err(|_| {
            Status::bad_request(format!(
                "invalid resource version: resourceVersion: Invalid value: {:?}: strconv.ParseUint: parsing {:?}: \
                 invalid syntax",
                options.resource_version, options.resource_version
            ))
        })?;
        if wanted > newest {
            return Err(too_large(wanted, newest));
        }
        let exact = options.version_match == Some(VersionMatch::Exact)
            || (options.version_match.is_none() && options.limit > 0);
        Ok((if exact { wanted } else { newest }, None))
    }
}

/// Refuses to read an object that is at least as new as what has not happened yet. The HTTP door asks only after it has
/// waited for it, as upstream does.
pub(super) fn check_version(version: &str, newest: Revision) -> Result<(), Status> {
    if version.is_empty() {
        return Ok(());
    }
    let wanted: Revision = version.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {version:?}: invalid syntax");
        Status::new(Reason::Unknown, format!("resourceVersion: Invalid value: {version:?}: {why}"))
    })?;
    if wanted > newest { Err(too_large(wanted, newest)) } else { Ok(()) }
}

/// `storage.NewTooLargeResourceVersionError`.
pub(crate) fn too_large(wanted: Revision, newest: Revision) -> Status {
    let message = format!("Timeout: Too large resource version: {wanted}, current: {newest}");
    let cause = Cause {
        reason: "ResourceVersionTooLarge".to_owned(),
        message: "Too large resource version".to_owned(),
        field: String::new(),
    };
    let details = Details { causes: vec![cause], retry_after_seconds: Some(1), ..Details::default() };
    Status::with_details(Reason::Timeout, message, details)
}

fn at_revision(etcd: &Etcd, target: &Target, revision: Revision) -> Result<OrdMap<ObjectKey, Object>, Status> {
    etcd.at(target.kind, revision).map_err(|error| match error {
        StoreError::Future => too_large(revision, etcd.revision()),
        _ => Status::expired(format!("The resourceVersion for the provided list is too old: {revision}")),
    })
}
