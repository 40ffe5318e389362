//! Finds devices for claims on a node.
//!
//! Follows `structured/internal/incubating/allocator_incubating.go` of `k8s.io/dynamic-resource-allocation`: claim after
//! claim, request after request, one device after the other is tried, and the first choice that satisfies everything is
//! taken. Where upstream gives up after ten seconds, or what it is told, this gives up after [`STEPS_A_SECOND`] steps for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::api::resource::claim::{items, requests, spec, text};
use crate::api::resource::device as view;
use crate::api::{Name, ObjectKey, Unstructured};
use crate::machinery::cel::Program;
use crate::machinery::persistent::OrdMap;
use crate::scheduler::node_info::NodeInfo;

use super::capacity::{self, Amounts};
use super::constraint::Constraint;
use super::pools::{self, Pool};
use super::result;

/// `AllocationResultsMaxSize`.
const RESULTS_MAX: usize = 32;
/// How many devices are tried in what counts as a second.
const STEPS_A_SECOND: u32 = 10_000;
/// How many are tried at most, however long it may take.
const STEPS_MAX: u32 = 1_000_000;

/// Why a claim could not be given devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There are not the right ones, or none that are free.
    None,
    /// The node will not do, for this reason.
    OnNode(String),
    /// A claim or a class is wrong: no node can do.
    Fatal(String),
}

/// What was given already: `AllocatedState`.
#[derive(Clone, Debug, Default)]
pub struct Allocated {
    /// Devices for one claim each, as `driver/pool/device`.
    devices: BTreeSet<String>,
    /// What is taken of devices that claims share.
    capacity: BTreeMap<String, Amounts>,
}

impl Allocated {
    /// Counts with what a claim was given.
    pub fn add(&mut self, allocation: &Value) {
        for result in items(&allocation["devices"], "results").iter().filter(|result| result["adminAccess"] != true) {
            let id = device_id(text(result, "driver"), text(result, "pool"), text(result, "device"));
            if result["shareID"].is_string() {
                let taken = capacity::amounts(&result["consumedCapacity"], |amount| amount);
                capacity::add(self.capacity.entry(id).or_default(), &taken);
            } else {
                self.devices.insert(id);
            }
        }
    }
}

fn device_id(driver: &str, pool: &str, device: &str) -> String {
    format!("{driver}/{pool}/{device}")
}

/// All that is known of devices when a cycle begins.
#[derive(Clone, Debug, Default)]
pub struct Allocator {
    /// The classes by their names.
    pub classes: OrdMap<Name, Arc<Unstructured>>,
    /// What drivers say that there is, in the order of the names.
    pub slices: Vec<Arc<Unstructured>>,
    /// What others have.
    pub allocated: Allocated,
    /// How long it may look on one node; zero for as long as it takes.
    pub timeout: Duration,
}

/// A request, or one of the alternatives of one.
pub(super) struct Wanted<'a> {
    /// The name of the request.
    pub request: &'a str,
    /// `request` or `request/alternative`.
    pub full_name: String,
    pub asked: &'a Value,
    pub class: &'a Arc<Unstructured>,
    is_admin: bool,
    count: usize,
    /// The devices, where all are asked for.
    all: Option<Vec<usize>>,
}

/// A device that may be given.
pub(super) struct Candidate<'a> {
    pub pool: usize,
    pub slice: &'a Value,
    pub device: &'a Value,
    pub id: String,
}

/// A device that is given, if the rest works out.
pub(super) struct Chosen<'a> {
    pub candidate: usize,
    pub asked: &'a Value,
    pub full_name: String,
    pub is_admin: bool,
    /// What is taken of a device that claims share.
    pub consumed: Option<Amounts>,
}

/// A claim on its way.
pub(super) struct Plan<'a> {
    pub claim: &'a Arc<Unstructured>,
    /// The alternatives of each request, one for most.
    pub wanted: Vec<Vec<Wanted<'a>>>,
    /// Which alternative of each request is taken.
    pub alternatives: Vec<usize>,
    constraints: Vec<Constraint<'a>>,
    pub chosen: Vec<Chosen<'a>>,
}

/// Why a search ends without a result.
enum Stop {
    /// More devices than a claim can have; another alternative may need fewer.
    TooMany,
    Failure(Failure),
}

/// Where the search is.
#[derive(Clone, Copy)]
struct Position {
    claim: usize,
    request: usize,
    /// Which alternative is being tried; nothing before one is.
    alternative: Option<usize>,
    device: usize,
    /// The first candidate that may be taken: within a request the order of devices does not matter.
    from: usize,
}

impl Position {
    const fn of(claim: usize, request: usize) -> Self {
        Self { claim, request, alternative: None, device: 0, from: 0 }
    }
}

pub(super) struct Search<'a> {
    allocator: &'a Allocator,
    pub node: &'a NodeInfo,
    pub pools: Vec<Pool<'a>>,
    pub candidates: Vec<Candidate<'a>>,
    pub plans: Vec<Plan<'a>>,
    programs: BTreeMap<&'a str, Result<Program, String>>,
    /// Whether a candidate satisfies the selectors, by claim, request, alternative and candidate.
    selected: BTreeMap<(usize, usize, usize, usize), bool>,
    steps: u32,
    steps_max: u32,
}

/// How many steps a search may take that is given so long.
fn steps_in(timeout: Duration) -> u32 {
    let steps = timeout.as_millis() * u128::from(STEPS_A_SECOND) / 1000;
    if timeout.is_zero() { STEPS_MAX } else { u32::try_from(steps).unwrap_or(STEPS_MAX).min(STEPS_MAX) }
}

impl Allocator {
    /// Finds devices for all the claims on a node: what each is given, in their order.
    ///
    /// # Errors
    /// Why there are none.
    pub fn allocate(&self, node: &NodeInfo, claims: &[Arc<Unstructured>]) -> Result<Vec<Value>, Failure> {
        let pools = pools::gather(&self.slices, node);
        let candidates = pools.iter().enumerate().flat_map(|(index, pool)| {
            pool.reachable.iter().flat_map(move |slice| {
                items(slice, "devices").iter().map(move |device| Candidate {
                    pool: index,
                    slice,
                    device,
                    id: device_id(pool.driver, pool.name, text(device, "name")),
                })
            })
        });
        let candidates = candidates.collect();
        let mut search = Search {
            allocator: self,
            node,
            pools,
            candidates,
            plans: Vec::new(),
            programs: BTreeMap::new(),
            selected: BTreeMap::new(),
            steps: 0,
            steps_max: steps_in(self.timeout),
        };
        for claim in claims {
            search.plan(claim).map_err(Failure::Fatal)?;
        }
        match search.allocate_one(Position::of(0, 0)) {
            Ok(true) => result::results(&search).map_err(Failure::Fatal),
            Err(Stop::Failure(failure)) => Err(failure),
            Ok(false) | Err(Stop::TooMany) => {
                let is_invalid = search.pools.iter().any(|pool| pool.is_invalid);
                let why = "invalid resource pools were encountered".to_owned();
                Err(if is_invalid { Failure::OnNode(why) } else { Failure::None })
            }
        }
    }
}

impl<'a> Search<'a> {
    /// Works out what a claim asks for.
    fn plan(&mut self, claim: &'a Arc<Unstructured>) -> Result<(), String> {
        let key = ObjectKey::of(&claim.metadata);
        let (claim_index, mut least) = (self.plans.len(), 0_usize);
        let constraints =
            items(&spec(claim)["devices"], "constraints").iter().enumerate().map(|(index, constraint)| {
                let why =
                    || format!("claim {key}, constraint #{index}: empty constraint (unsupported constraint type?)");
                Constraint::new(constraint).ok_or_else(why)
            });
        let constraints = constraints.collect::<Result<_, _>>()?;
        let (wanted, chosen) = (Vec::new(), Vec::new());
        self.plans.push(Plan { claim, wanted, alternatives: Vec::new(), constraints, chosen });
        for (index, request) in requests(claim).iter().enumerate() {
            let alternatives = items(request, "firstAvailable");
            let name = text(request, "name");
            let mut all = Vec::new();
            if alternatives.is_empty() {
                all.push(self.wanted(&key, (claim_index, index, 0), name, name.to_owned(), &request["exactly"])?);
            }
            for (place, alternative) in alternatives.iter().enumerate() {
                let full_name = format!("{name}/{}", text(alternative, "name"));
                all.push(self.wanted(&key, (claim_index, index, place), name, full_name, alternative)?);
            }
            least += all.iter().map(|wanted| wanted.count).min().unwrap_or(0);
            let plan = &mut self.plans[claim_index];
            plan.wanted.push(all);
            plan.alternatives.push(0);
        }
        if least > RESULTS_MAX {
            return Err(format!(
                "claim {key}: number of requested devices {least} exceeds the claim limit of {RESULTS_MAX}"
            ));
        }
        Ok(())
    }

    /// `validateDeviceRequest`.
    fn wanted(
        &mut self,
        key: &ObjectKey,
        place: (usize, usize, usize),
        request: &'a str,
        full_name: String,
        asked: &'a Value,
    ) -> Result<Wanted<'a>, String> {
        let own_name = full_name.rsplit('/').next().unwrap_or("");
        let class_name = text(asked, "deviceClassName");
        let class = self.allocator.classes.get(class_name).ok_or_else(|| {
            format!(
                "claim {key}, request {own_name}: could not retrieve device class {class_name}: \
                 deviceclass.resource.k8s.io \"{class_name}\" not found"
            )
        })?;
        let is_admin = asked["adminAccess"] == true;
        let mut wanted = Wanted { request, asked, class, is_admin, count: 0, all: None, full_name: full_name.clone() };
        match text(asked, "allocationMode") {
            "ExactCount" => wanted.count = asked["count"].as_u64().unwrap_or(0) as usize,
            "All" => {
                for pool in &self.pools {
                    let state = if pool.is_incomplete {
                        "being updated"
                    } else if pool.is_invalid {
                        "invalid"
                    } else {
                        continue;
                    };
                    return Err(format!(
                        "claim {key}, request {own_name}: asks for all devices, but resource pool {} is currently {state}",
                        pool.id
                    ));
                }
                let mut all = Vec::new();
                for candidate in 0..self.candidates.len() {
                    let is_enough = |search: &Self| {
                        let device = search.candidates[candidate].device;
                        capacity::take(device, asked, &search.taken(candidate)).is_some()
                    };
                    if self.is_selectable(place, &wanted, candidate)? && is_enough(self) {
                        all.push(candidate);
                    }
                }
                wanted.count = all.len();
                wanted.all = Some(all);
            }
            other => {
                return Err(format!("claim {key}, request {own_name}: unsupported count mode {other}"));
            }
        }
        Ok(wanted)
    }

    /// Whether a device satisfies the class's and the request's selectors, and is of this node.
    fn is_selectable(
        &mut self,
        (claim, request, alternative): (usize, usize, usize),
        wanted: &Wanted<'a>,
        candidate: usize,
    ) -> Result<bool, String> {
        let key = (claim, request, alternative, candidate);
        if let Some(known) = self.selected.get(&key) {
            return Ok(*known);
        }
        let (slice, device) = (self.candidates[candidate].slice, self.candidates[candidate].device);
        let of_class = items(spec(wanted.class), "selectors");
        let is_selected = self.satisfies(claim, candidate, of_class, Some(wanted.class))?
            && self.satisfies(claim, candidate, items(wanted.asked, "selectors"), None)?
            && (slice["perDeviceNodeSelection"] != true || pools::node_matches(self.node, device));
        self.selected.insert(key, is_selected);
        Ok(is_selected)
    }

    /// `selectorsMatch`.
    fn satisfies(
        &mut self,
        claim: usize,
        candidate: usize,
        selectors: &'a [Value],
        class: Option<&Arc<Unstructured>>,
    ) -> Result<bool, String> {
        if selectors.is_empty() {
            return Ok(true);
        }
        let owner = || match class {
            Some(class) => format!("class {}", class.metadata.name.as_deref().unwrap_or("")),
            None => format!("claim {}", ObjectKey::of(&self.plans[claim].claim.metadata)),
        };
        let owner = owner();
        let Candidate { device, id, pool, .. } = &self.candidates[candidate];
        let driver = self.pools[*pool].driver;
        for (index, selector) in selectors.iter().enumerate() {
            let expression = text(&selector["cel"], "expression");
            let program = self.programs.entry(expression).or_insert_with(|| view::compile(expression));
            let program =
                program.as_ref().map_err(|why| format!("{owner}: selector #{index}: CEL compile error: {why}"))?;
            let matches = view::value(driver, device).and_then(|device| view::matches(program, &device));
            let matches = matches.map_err(|why| {
                let advice =
                    ". Consider using CEL optional chaining (?), has() macro, or orValue() for optional fields";
                let advice = if why.starts_with("no such key:") { advice } else { "" };
                format!("{owner}: selector #{index} on device {id}: CEL runtime error: {why}{advice}")
            })?;
            if !matches {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is taken of a device that claims share, by others and by what is chosen so far.
    fn taken(&self, candidate: usize) -> Amounts {
        let mut taken =
            self.allocator.allocated.capacity.get(&self.candidates[candidate].id).cloned().unwrap_or_default();
        let chosen = self.plans.iter().flat_map(|plan| &plan.chosen).filter(|chosen| chosen.candidate == candidate);
        for consumed in chosen.filter_map(|chosen| chosen.consumed.as_ref()) {
            capacity::add(&mut taken, consumed);
        }
        taken
    }

    /// Finds a device for one place, and for all that come behind it: `allocateOne`.
    fn allocate_one(&mut self, at: Position) -> Result<bool, Stop> {
        self.steps += 1;
        if self.steps > self.steps_max {
            let why = "timed out trying to allocate devices".to_owned();
            return Err(Stop::Failure(Failure::OnNode(why)));
        }
        let Some(plan) = self.plans.get(at.claim) else { return Ok(true) };
        let Some(alternatives) = plan.wanted.get(at.request) else {
            return match self.allocate_one(Position::of(at.claim + 1, 0)) {
                Err(Stop::TooMany) => Ok(false),
                other => other,
            };
        };
        let Some(alternative) = at.alternative else {
            let count = alternatives.len();
            return self.try_alternatives(at, count);
        };
        let wanted = &alternatives[alternative];
        let (count, all) = (wanted.count, wanted.all.clone());
        if all.as_ref().is_some_and(Vec::is_empty) {
            return Ok(false);
        }
        if at.device >= count {
            return self.allocate_one(Position::of(at.claim, at.request + 1));
        }
        if plan.chosen.len() + count - at.device > RESULTS_MAX {
            return Err(Stop::TooMany);
        }
        if let Some(all) = all {
            return self.try_candidate(at, alternative, all[at.device], true);
        }
        for candidate in at.from..self.candidates.len() {
            if self.try_candidate(at, alternative, candidate, false)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first alternative that works out is taken.
    fn try_alternatives(&mut self, at: Position, count: usize) -> Result<bool, Stop> {
        let mut all_too_many = true;
        for alternative in 0..count {
            self.plans[at.claim].alternatives[at.request] = alternative;
            match self.allocate_one(Position { alternative: Some(alternative), ..at }) {
                Ok(true) => return Ok(true),
                Err(Stop::TooMany) => continue,
                Ok(false) => all_too_many = false,
                Err(stop) => return Err(stop),
            }
        }
        if all_too_many { Err(Stop::TooMany) } else { Ok(false) }
    }

    /// Takes a device if it can be, and goes on; gives it back when the rest does not work out.
    fn try_candidate(&mut self, at: Position, alternative: usize, candidate: usize, must: bool) -> Result<bool, Stop> {
        let taken = self.take(at, alternative, candidate, must).map_err(|why| Stop::Failure(Failure::Fatal(why)))?;
        if !taken {
            return Ok(false);
        }
        let next = Position { device: at.device + 1, from: candidate + 1, ..at };
        let outcome = self.allocate_one(next);
        if !matches!(outcome, Ok(true)) {
            let plan = &mut self.plans[at.claim];
            plan.chosen.pop();
            let Plan { constraints, wanted, .. } = plan;
            let wanted = &wanted[at.request][alternative];
            constraints.iter_mut().for_each(|constraint| constraint.remove(wanted.request, &wanted.full_name));
        }
        outcome
    }

    /// Takes a device, if it is free and satisfies everything: `allocateDevice`.
    fn take(&mut self, at: Position, alternative: usize, candidate: usize, must: bool) -> Result<bool, String> {
        let pool = &self.pools[self.candidates[candidate].pool];
        if (pool.is_incomplete || pool.is_invalid) && !must {
            return Ok(false);
        }
        let wanted = &self.plans[at.claim].wanted[at.request][alternative];
        let device = self.candidates[candidate].device;
        let is_shared = device["allowMultipleAllocations"] == true;
        if self.is_in_use(at.claim, candidate, wanted.is_admin, is_shared) || is_tainted(device, wanted.asked) {
            return Ok(false);
        }
        let place = (at.claim, at.request, alternative);
        let is_selectable = match self.selected.get(&(at.claim, at.request, alternative, candidate)) {
            Some(known) => *known,
            None => {
                // The request is lent out for the question, since that remembers the answer.
                let mut lent = std::mem::take(&mut self.plans[at.claim].wanted[at.request]);
                let answer = self.is_selectable(place, &lent[alternative], candidate);
                std::mem::swap(&mut self.plans[at.claim].wanted[at.request], &mut lent);
                answer?
            }
        };
        if !is_selectable {
            return Ok(false);
        }
        let asked = self.plans[at.claim].wanted[at.request][alternative].asked;
        let taken = self.taken(candidate);
        let Some(amounts) = capacity::take(device, asked, &taken) else { return Ok(false) };
        if (!is_shared || taken.is_empty()) && !self.has_counters(candidate) {
            return Ok(false);
        }
        self.choose(at, alternative, candidate, is_shared.then_some(amounts), must)
    }

    /// The constraints have the last word.
    fn choose(
        &mut self,
        at: Position,
        alternative: usize,
        candidate: usize,
        consumed: Option<Amounts>,
        must: bool,
    ) -> Result<bool, String> {
        let Candidate { device, id, pool, .. } = &self.candidates[candidate];
        let driver = self.pools[*pool].driver;
        let Plan { claim, wanted, constraints, chosen, .. } = &mut self.plans[at.claim];
        let wanted = &wanted[at.request][alternative];
        let refuses =
            |constraint: &mut Constraint<'a>| !constraint.add(wanted.request, &wanted.full_name, driver, device);
        if let Some(refusing) = constraints.iter_mut().position(refuses) {
            if must {
                let key = ObjectKey::of(&claim.metadata);
                let name = wanted.full_name.rsplit('/').next().unwrap_or("");
                return Err(format!(
                    "claim {key}, request {name}: cannot add device {id} because a claim constraint would not be satisfied"
                ));
            }
            for constraint in &mut constraints[..refusing] {
                constraint.remove(wanted.request, &wanted.full_name);
            }
            return Ok(false);
        }
        chosen.push(Chosen {
            candidate,
            asked: wanted.asked,
            full_name: wanted.full_name.clone(),
            is_admin: wanted.is_admin,
            consumed,
        });
        Ok(true)
    }

    fn is_in_use(&self, claim: usize, candidate: usize, is_admin: bool, is_shared: bool) -> bool {
        if is_shared {
            return false;
        }
        let has = |plan: &Plan<'_>| plan.chosen.iter().any(|chosen| chosen.candidate == candidate);
        if is_admin {
            return has(&self.plans[claim]);
        }
        self.allocator.allocated.devices.contains(&self.candidates[candidate].id) || self.plans.iter().any(has)
    }

    /// Whether the device's part of what the devices of its pool share is free: `checkAvailableCounters`.
    fn has_counters(&self, candidate: usize) -> bool {
        let Candidate { pool: index, device, .. } = &self.candidates[candidate];
        let wanted = capacity::counters(device);
        if wanted.is_empty() {
            return true;
        }
        let pool = &self.pools[*index];
        let mut used = wanted;
        for device in pool.all.iter().flat_map(|slice| items(slice, "devices")) {
            let id = device_id(pool.driver, pool.name, text(device, "name"));
            let allocated = &self.allocator.allocated;
            if allocated.devices.contains(&id) || allocated.capacity.contains_key(&id) {
                capacity::add(&mut used, &capacity::counters(device));
            }
        }
        for chosen in self.plans.iter().flat_map(|plan| &plan.chosen) {
            let other = &self.candidates[chosen.candidate];
            if other.pool == *index {
                capacity::add(&mut used, &capacity::counters(other.device));
            }
        }
        let shared = capacity::shared_counters(&pool.all);
        used.iter().all(|(name, amount)| shared.get(name).is_none_or(|available| amount <= available))
    }
}

/// Whether a taint that the request does not tolerate keeps a device back: `taintPreventsAllocation`.
fn is_tainted(device: &Value, asked: &Value) -> bool {
    let keeps_back = |taint: &&Value| matches!(text(taint, "effect"), "NoSchedule" | "NoExecute");
    let tolerated = |taint: &Value| items(asked, "tolerations").iter().any(|it| view::tolerates(it, taint));
    items(device, "taints").iter().filter(keeps_back).any(|taint| !tolerated(taint))
}
