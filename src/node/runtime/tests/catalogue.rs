//! The catalogue itself, and images on a node.

use expect_test::expect;

use super::world::{World, container};
use crate::machinery::time::Time;
use crate::node::runtime::catalogue::Catalogue;
use crate::node::runtime::{ImageReference, RuntimeProfile};

#[test]
fn every_image_runs_as_it_is() {
    let names: Vec<String> = Catalogue::builtin().names().map(str::to_owned).collect();
    let mut text = String::new();
    for name in &names {
        let mut world = World::new();
        let line = match world.create(container(name, &[])) {
            Err(error) => format!("not created: {error}"),
            Ok(id) => match world.runtime.start_container(&id, world.now) {
                Err(error) => error,
                Ok(()) => {
                    world.pass(60.0);
                    let ports = world.runtime.listening_ports(&world.sandbox.clone(), world.now);
                    let memory = world.runtime.stats(&id, world.now).unwrap().memory_bytes >> 20;
                    format!("{} {ports:?} {memory}Mi", world.end(&id))
                }
            },
        };
        text.push_str(&format!("{name}: {line}\n"));
    }
    expect![[""]].assert_eq(&text);
}

#[test]
fn tags() {
    let catalogue = Catalogue::builtin();
    let exists = |name: &str| catalogue.exists(&ImageReference::parse(name).unwrap());
    for name in [
        "nginx",
        "nginx:1",
        "nginx:2",
        "nginx:3",
        "nginx:1.14.2",
        "nginx:1.25-alpine",
        "nginx:stable-alpine-slim",
        "busybox:1.28",
        "busybox:1.36",
        "busybox:1.37",
        "redis:7",
        "redis:7.2-alpine",
        "postgres:16.3",
        "mysql:5.7",
        "somebody/else:9",
        "gcr.io/google-samples/kubernetes-bootcamp:v1",
        "httpd:2.4-alpine",
        "mongo:6.0.1",
        "ubuntu:24.04",
        "alpine:3.20.1",
    ] {
        assert!(exists(name), "{name}");
    }
    for name in [
        "nginx:1.161",
        "nginx:latestt",
        "ngnix",
        "redis3",
        "busybox:1.999",
        "gcr.io/google-samples/kubernetes-bootcamp:v10",
        "gcr.io/google-samples/hello-app:3.0",
        "postgres:99",
        "mysql:nope",
    ] {
        assert!(!exists(name), "{name}");
    }
}

#[test]
fn pulling() {
    let mut world = World::new();
    for image in ["nginx:1.25", "nginx:doesnotexist", "redis:404", "nginx:1.161", "ngnix", "team/app:v1", "busybox"] {
        world.runtime.pull_image(image, world.now).unwrap();
    }
    world.runtime.pull_image("UPPER:x", world.now).unwrap_err();
    world.pass(60.0);
    expect![[""]].assert_eq(&format!("{}\n", world.told.join("\n")));
    let status = world.runtime.image_status("docker.io/library/nginx:1.25").unwrap();
    assert_eq!(status.tags, ["docker.io/library/nginx:1.25"]);
    assert!(status.reference().starts_with("docker.io/library/nginx@sha256:"));
    assert_eq!(world.runtime.images().count(), 3);
    assert!(world.runtime.remove_image("nginx:1.25"));
    assert!(world.runtime.image_status("nginx:1.25").is_none());
    let mut world = World::with(RuntimeProfile::recorded(), &[]);
    world.runtime.pull_image("postgres", world.now).unwrap();
    assert_eq!(world.runtime.next_wake(world.now), Some(Time::from_micros(world.now.as_micros() + 300_000)));
}
