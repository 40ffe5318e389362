//! The targets of `fuzz/`, run on what libFuzzer found (`fuzz/corpus`) and on mutated seeds: a few seconds of what it would do
//! for hours, the same at each run.

#![cfg(not(target_arch = "wasm32"))]

use kubetab::machinery::random::Random;

#[path = "../fuzz/src/targets.rs"]
#[allow(dead_code, reason = "cargo-fuzz calls each target by its name")]
mod targets;

/// How many inputs each target gets.
const ROUNDS: u32 = 3_000;
/// How long an input may be, in bytes.
const BYTES_MAX: usize = 600;

/// What libFuzzer found for a target, in order.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    // A target for which nothing was kept has no folder.
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("it can be read")).collect()
}

/// Sound inputs, by target, to begin with; the other targets get those of all.
const SEEDS: &[(&str, &str)] = &[
    ("address", "/api/v1/namespaces/a/pods/p/log?container=c&labelSelector=app%3Dx+y&watch=1"),
    ("address", "/apis/apps/v1/namespaces/default/deployments/web/scale?dryRun=All"),
    ("cel", "object.spec.replicas <= 5 && object.metadata.labels.all(k, k.startsWith('a'))"),
    ("cel", "Object{spec: Object.spec{replicas: object.spec.?x.orValue(1) * 2}}"),
    ("cel", "[JSONPatch{op: 'add', path: '/a/' + jsonpatch.escapeKey('b/c'), value: {'x': [1, 2.5, null]}}]"),
    ("cel", "quantity('1Gi').isLessThan(quantity('2000Mi')) ? 'a' + string(1) : r'\\d'"),
    ("jsonpath", "{range .items[?(@.name==\"a\")]}{.name}{'\\t'}{.n[-1:]}{end}"),
    ("jsonpath", "{..name} {.items[*]['name','n']}"),
    ("labels", "app in (a,b),tier notin (c),!gone,x,y!=z,n>3"),
    ("link", "v1/eJyrVkpUslIqSy0qzszPU7JSMlSqBQBBvQZO"),
    ("quantity", "1.5Gi"),
    ("quantity", "-12e3"),
    ("quantity", "100500m"),
    (
        "yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {\"x\": 'y'}}\nspec:\n  containers:\n  - name: c\n    image: nginx\n    args: [0644, 1_000, yes, ~, .inf, 1e3, \"\\u00e9\"]\n---\nkind: List\napiVersion: v1\nitems:\n- &a {kind: ConfigMap, apiVersion: v1, data: {t: |\n    text\n  }}\n- *a\n",
    ),
    (
        "apply",
        "spec:\n  replicas: 1\n  template:\n    spec:\n      containers:\n      - {name: a, image: x, ports: [{containerPort: 80}]}\n---\nspec:\n  replicas: 2\n  template: {spec: {containers: [{name: a, image: y}, {name: b}]}}\n",
    ),
    (
        "strategic_patch",
        "spec: {template: {spec: {containers: [{name: a, image: x}, {name: b}]}}}\n---\nspec: {template: {spec: {$setElementOrder/containers: [{name: b}, {name: a}], containers: [{name: a, $patch: delete}]}}}\n---\nmetadata: {finalizers: [x], labels: {a: null}}\n",
    ),
    (
        "json_patch",
        "a: {b: [1, 2]}\n---\n- {op: add, path: /a/b/-, value: 3}\n- {op: move, from: /a/b/0, path: /c}\n- {op: test, path: /a~1b, value: null}\n",
    ),
    (
        "request",
        "POST /api/v1/namespaces/default/pods application/json\n{metadata: {name: a}, spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}}",
    ),
    (
        "request",
        "POST /apis/apps/v1/namespaces/default/deployments?dryRun=All&fieldValidation=Strict application/yaml\nmetadata: {generateName: a}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}",
    ),
    (
        "request",
        "PATCH /apis/apps/v1/namespaces/default/deployments/w?fieldManager=f&force=true application/apply-patch+yaml\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: w}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}}",
    ),
    (
        "request",
        "PATCH /api/v1/nodes/worker-1 application/merge-patch+json\n{spec: {unschedulable: true, taints: null}}",
    ),
    ("request", "GET /api/v1/namespaces/default/events?labelSelector=a%3Db&limit=1&fieldSelector=type%3DNormal -\n"),
    (
        "request",
        "POST /apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers application/json\n{metadata: {name: a}, spec: {maxReplicas: 2, scaleTargetRef: {kind: Deployment, name: w}}}",
    ),
    (
        "request",
        "POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions application/json\n{metadata: {name: a.b.c}, spec: {group: b.c, scope: Cluster, names: {plural: a, kind: A}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-validations: [{rule: 'self.x > 1'}], properties: {x: {type: integer}}}}}}}]}}",
    ),
    (
        "request",
        "POST /api/v1/namespaces/default/services application/json\n{metadata: {name: s}, spec: {type: NodePort, ports: [{port: 80, nodePort: 30080, targetPort: http}], selector: {a: b}}}",
    ),
    ("request", "DELETE /api/v1/namespaces/default/configmaps?propagationPolicy=Foreground application/json\n{}"),
    ("merge_patch", "a: {b: 1, c: [1]}\n---\na: {b: null, d: {e: f}}\n---\na: {b: 2}\n"),
];

/// Pieces that mean something to one reader or another.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ":",
    ",",
    "-",
    "- ",
    "\n",
    "  ",
    "---\n",
    "'",
    "\"",
    "\\",
    "|",
    ">",
    "&a ",
    "*a",
    "!!str ",
    "<<: ",
    "null",
    "true",
    "~",
    "0",
    "-1",
    "1e309",
    "0x1F",
    "99999999999999999999",
    ".",
    "..",
    "?",
    "$patch: delete",
    "/",
    "~1",
    "%2F",
    "%",
    "é",
    "\u{feff}",
    "\u{0}",
    "\t",
    "#",
    "@",
    "$",
    "=",
    "!=",
    " in ",
    "&&",
    "v1/",
    "Ki",
    "m",
    "e",
    "E",
];

fn mutate(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() as u64 + 1) as usize;
        match random.below(6) {
            0 if at < input.len() => input[at] = random.next_u64() as u8,
            1 if at < input.len() => drop(input.remove(at)),
            2 => input.truncate(at),
            3 if !other.is_empty() => {
                let from = random.below(other.len() as u64) as usize;
                let to = (from + random.below(40) as usize).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
            4 if at < input.len() => {
                let to = (at + random.below(30) as usize).min(input.len());
                let copied = input[at..to].to_vec();
                input.splice(at..at, copied);
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len() as u64) as usize];
                input.splice(at..at, piece.bytes());
            }
        }
    }
    input.truncate(BYTES_MAX);
}

fn run(name: &str) {
    let (_, target) = targets::ALL.iter().find(|(known, _)| *known == name).expect("a target of this name");
    let found = corpus(name);
    let mut own: Vec<&[u8]> = SEEDS.iter().filter(|(of, _)| *of == name).map(|(_, seed)| seed.as_bytes()).collect();
    own.extend(found.iter().map(Vec::as_slice));
    let all: Vec<&[u8]> = SEEDS.iter().map(|(_, seed)| seed.as_bytes()).collect();
    let seeds = if own.is_empty() { &all } else { &own };
    seeds.iter().for_each(|seed| target(seed));
    let mut random = Random::new(name.bytes().map(u64::from).sum());
    let mut input = Vec::new();
    for round in 0..ROUNDS {
        // Now and then it begins anew, and otherwise goes on from what it came to.
        if round % 8 == 0 {
            input = seeds[random.below(seeds.len() as u64) as usize].to_vec();
        }
        let other = all[random.below(all.len() as u64) as usize];
        mutate(&mut random, &mut input, other);
        target(&input);
    }
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),*];
            let known: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
            assert_eq!(known, run);
        }
    };
}

targets! {
    address, apply, cel, jsonpath, json_patch, labels, link, merge_patch, quantity, request, strategic_patch, strict, yaml,
}
