//! Image garbage collection: when the disk is nearly full, images go that no container uses.
//!
//! `pkg/kubelet/images/image_gc_manager.go` and `StartGarbageCollection` of `pkg/kubelet/kubelet.go`.

use std::time::Duration;

use crate::client::{Client, EventType};
use crate::machinery::order::Order as _;
use crate::machinery::persistent::OrdMap;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;
use crate::node::runtime::Runtime;

use super::agenda::Work;
use super::host::Host;
use super::node_status;

/// How often it is looked: `ImageGCPeriod`.
const PERIOD: Duration = Duration::from_secs(300);
/// From this part of the disk on, in percent, images are removed: `imageGCHighThresholdPercent`.
const HIGH_THRESHOLD_PERCENT: u64 = 85;
/// Down to this: `imageGCLowThresholdPercent`.
const LOW_THRESHOLD_PERCENT: u64 = 80;
/// How long an image must have been known: `imageMinimumGCAge`.
const MINIMUM_AGE: Duration = Duration::from_secs(120);

/// What is known of an image.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// When it was first seen; the beginning of time for what was there from the start.
    first_detected: Time,
    last_used: Time,
}

/// The kubelet's image garbage collector.
#[derive(Clone, Debug, Default)]
pub(super) struct ImageGc {
    records: OrdMap<String, Record>,
    is_initialised: bool,
    failed_before: bool,
}

impl ImageGc {
    /// Learns of new images and notes which are in use: `detectImages`.
    fn detect(&mut self, runtime: &Runtime, detected: Time, now: Time) {
        let unused = runtime.unused_images();
        for (name, _) in runtime.named_images() {
            let known = self.records.get(name).copied();
            let mut record = known.unwrap_or(Record { first_detected: detected, last_used: Time::default() });
            if !unused.contains(name) {
                record.last_used = now;
            }
            self.records.insert(name.clone(), record);
        }
        self.records.retain(|name, _| runtime.named_image(name).is_some());
    }

    /// Removes images that nobody uses until so many bytes are free; answers how many are: `freeSpace`.
    pub(super) fn free(&mut self, runtime: &mut Runtime, bytes: u64, now: Time) -> u64 {
        self.detect(runtime, now, now);
        let mut candidates: Vec<(Time, Time, String)> =
            self.records.iter().map(|(name, record)| (record.last_used, record.first_detected, name.clone())).collect();
        candidates.order();
        let mut freed = 0_u64;
        for (last_used, first_detected, name) in candidates {
            if last_used >= now || now.since(first_detected) < MINIMUM_AGE {
                continue;
            }
            freed = freed.saturating_add(runtime.named_image(&name).map_or(0, |image| image.size));
            runtime.remove_image(&name);
            self.records.remove(&name);
            if freed >= bytes {
                break;
            }
        }
        freed
    }
}

impl Host {
    /// Frees the disk of images when it is nearly full: `GarbageCollect`.
    pub(super) fn collect_images(&mut self, client: &mut Client<'_>) {
        let now = client.now;
        self.agenda.set(Work::ImageGc, now + PERIOD, true);
        let detected = if self.image_gc.is_initialised { now } else { Time::default() };
        self.image_gc.is_initialised = true;
        let runtime = &mut self.runtime.cri;
        self.image_gc.detect(runtime, detected, now);
        let amount = self.config.full_capacity().remove("ephemeral-storage").unwrap_or_default();
        let capacity = Quantity::parse(&amount).ok().and_then(|amount| u64::try_from(amount.value()).ok()).unwrap_or(0);
        let available = capacity.saturating_sub(runtime.disk_in_use());
        let percent = |of: u64| u64::try_from(u128::from(of) * 100 / u128::from(capacity.max(1))).unwrap_or(u64::MAX);
        if capacity == 0 || percent(available) > 100 - HIGH_THRESHOLD_PERCENT {
            self.image_gc.failed_before = false;
            return;
        }
        let wanted = (capacity / 100 * (100 - LOW_THRESHOLD_PERCENT)).saturating_sub(available);
        let freed = self.image_gc.free(runtime, wanted, now);
        let failed = freed < wanted;
        if failed {
            let message = format!(
                "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only found \
                 {freed} bytes eligible to free."
            );
            let node = node_status::reference(&self.config);
            client.event_about(&node, EventType::Warning, "FreeDiskSpaceFailed", &message);
            // A first failure may only mean that nothing was measured yet.
            if self.image_gc.failed_before {
                client.event_about(&node, EventType::Warning, "ImageGCFailed", &message);
            }
        }
        self.image_gc.failed_before = failed;
    }
}
