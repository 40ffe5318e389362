//! What a browser test stands on: a server for `dist/`, ChromeDriver, browsers with fresh
//! profiles, and waiting for what the page shows.
//!
//! ```ignore
//! #[test]
//! fn three_pods_run() {
//!     run("three_pods_run", async |world| {
//!         let tab = world.open(Screen::Desktop, "").await;
//!         tab.until("three pods run", "document.querySelectorAll('.pod.running').length === 3").await;
//!         tab.screenshot("three-pods").await;
//!     });
//! }
//! ```
//!
//! A test fails on whatever it asserts and on every error in a browser's console that it did
//! not name with [`Tab::expect_console_error`]. It waits by asking the page again and again,
//! never by sleeping a fixed time.

use std::cell::RefCell;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::prelude::*;
use thirtyfour::{ChromeCapabilities, LoggingPrefsLogLevel};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long a condition may take before the test fails. Generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the page is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The page is served below a path, as on many static hosts; every address must be relative.
const BASE: &str = "/below/a/path/";

/// One browser test at a time: two cores do not animate two clusters smoothly.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The size of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// 1440 × 900.
    Desktop,
    /// 390 × 844, with touch.
    Phone,
}

/// The server, ChromeDriver and every browser of one test.
pub struct World {
    name: &'static str,
    site: String,
    driver: String,
    profiles: PathBuf,
    /// What is served.
    folder: PathBuf,
    tabs: RefCell<Vec<Tab>>,
    // Killed when the test ends.
    _processes: [Child; 2],
}

/// A browser of its own, with a fresh profile, showing the page.
#[derive(Clone)]
pub struct Tab {
    driver: WebDriver,
    expected_errors: Rc<RefCell<Vec<String>>>,
}

impl Deref for Tab {
    type Target = WebDriver;
    fn deref(&self) -> &WebDriver {
        &self.driver
    }
}

/// Runs one browser test; see the module.
pub fn run(name: &'static str, test: impl AsyncFnOnce(&World) + 'static) {
    run_without(name, None, test);
}

/// As [`run`], on a host that lacks the files whose names begin with `missing`, until [`World::bring_what_is_missing`].
pub fn run_without(name: &'static str, missing: Option<&'static str>, test: impl AsyncFnOnce(&World) + 'static) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let world = Rc::new(World::new(name, missing).await);
        let body = {
            let world = world.clone();
            tokio::task::spawn_local(async move { test(&world).await })
        };
        let outcome = body.await;
        let console = world.finish(outcome.is_err()).await;
        match outcome {
            Ok(()) => assert!(console.is_empty(), "errors in the console:\n{}", console.join("\n")),
            Err(failure) => {
                for line in console {
                    println!("console: {line}");
                }
                std::panic::resume_unwind(failure.into_panic());
            }
        }
    });
}

impl World {
    async fn new(name: &'static str, missing: Option<&str>) -> Self {
        let dist = project().join("dist");
        assert!(
            dist.join("index.html").is_file(),
            "dist/ is not there. Build the page first: make dist (or run all: make test)"
        );
        let profiles = std::env::temp_dir().join(format!("kubetab-{}-{name}", std::process::id()));
        let folder = missing.map_or(dist, |missing| {
            let folder = profiles.join("site");
            std::fs::create_dir_all(&folder).expect("the folder is new");
            copy_what_is_not_there(&folder, |name| !name.starts_with(missing));
            folder
        });
        let mut server = Command::new("node");
        server.arg(project().join("scripts/serve.mjs")).arg(&folder).args(["0", BASE]);
        let (server, line) = start(server, "http://").await;
        let site = line[line.find("http://").expect("found above")..].trim().to_owned();
        let mut driver = Command::new("chromedriver");
        driver.arg("--port=0");
        let (driver_process, line) = start(driver, "started successfully on port ").await;
        let port: String = line.chars().filter(char::is_ascii_digit).collect();
        Self {
            name,
            site,
            driver: format!("http://127.0.0.1:{port}"),
            profiles,
            folder,
            tabs: RefCell::default(),
            _processes: [server, driver_process],
        }
    }

    /// Where the page is, with what stands after it: `""`, `"?embed=1"`, `"#v1/…"`.
    pub fn address(&self, rest: &str) -> String {
        format!("{}{rest}", self.site)
    }

    /// From now on the host has what [`run_without`] kept from it.
    pub fn bring_what_is_missing(&self) {
        copy_what_is_not_there(&self.folder, |_| true);
    }

    /// Opens the page in a browser with a fresh profile; `rest` as in [`Self::address`].
    pub async fn open(&self, screen: Screen, rest: &str) -> Tab {
        let tab = self.browser(screen).await;
        tab.goto(self.address(rest)).await.expect("the page opens");
        tab
    }

    /// A browser with a fresh profile that shows nothing yet.
    pub async fn browser(&self, screen: Screen) -> Tab {
        let profile = self.profiles.join(self.tabs.borrow().len().to_string());
        let driver = WebDriver::new(&self.driver, capabilities(screen, &profile)).await;
        let driver = driver.expect("Chromium starts");
        let tab = Tab { driver, expected_errors: Rc::default() };
        self.tabs.borrow_mut().push(tab.clone());
        tab
    }

    /// Closes the browsers; returns the console errors that no test expected.
    async fn finish(&self, failed: bool) -> Vec<String> {
        let mut console = Vec::new();
        for (index, tab) in self.tabs.take().into_iter().enumerate() {
            if failed {
                tab.try_screenshot(&format!("FAILED-{}-{index}", self.name)).await;
            }
            console.extend(tab.console_errors().await);
            // A browser that has died is what the test is about, or the failure it reports.
            let _ = tab.driver.quit().await;
        }
        let _ = std::fs::remove_dir_all(&self.profiles);
        console
    }
}

impl Tab {
    /// Waits until a JavaScript expression is true, and returns its value.
    pub async fn until(&self, what: &str, expression: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.evaluate(expression).await;
            if truthy(&value) {
                return value;
            }
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain until {what}: {expression} is {value}");
            sleep(POLL_INTERVAL).await;
        }
    }

    /// The value of a JavaScript expression in the page.
    pub async fn evaluate(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        let result = self.execute(script, Vec::new()).await;
        result.unwrap_or_else(|error| panic!("{expression}: {error}")).json().clone()
    }

    /// Waits until an element is there, and returns it.
    pub async fn element(&self, css: &str) -> WebElement {
        let selector = serde_json::to_string(css).expect("a string is JSON");
        self.until(&format!("there is {css}"), &format!("document.querySelector({selector}) !== null")).await;
        self.find(By::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// Waits until an element is there, and clicks it.
    pub async fn click(&self, css: &str) {
        let element = self.element(css).await;
        element.click().await.unwrap_or_else(|error| panic!("clicking {css}: {error}"));
    }

    /// Waits until an element's text contains `part`.
    pub async fn until_text(&self, css: &str, part: &str) {
        let selector = serde_json::to_string(css).expect("a string is JSON");
        let wanted = serde_json::to_string(part).expect("a string is JSON");
        let expression = format!("(document.querySelector({selector})?.innerText ?? '').includes({wanted})");
        self.until(&format!("{css} says {part:?}"), &expression).await;
    }

    /// Pretends that the user prefers these, and nothing else: `"prefers-color-scheme"` is
    /// `"dark"` or `"light"`, `"prefers-reduced-motion"` is `"reduce"` or `"no-preference"`.
    pub async fn prefer(&self, preferences: &[(&str, &str)]) {
        let features = preferences.iter().map(|(name, value)| json!({ "name": name, "value": value }));
        let parameters = json!({ "features": features.collect::<Vec<_>>() });
        let result = self.cdp().send_raw("Emulation.setEmulatedMedia", parameters).await;
        result.unwrap_or_else(|error| panic!("{preferences:?}: {error}"));
    }

    /// Sends a command of the browser's own debugging protocol.
    pub async fn cdp_send(&self, command: &str, parameters: Value) {
        let result = self.cdp().send_raw(command, parameters).await;
        result.unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    /// Milliseconds from navigation to the first contentful paint, and to the mark
    /// `kubetab-live` which the page sets when it has drawn a live cluster.
    pub async fn paint_times_ms(&self) -> (f64, f64) {
        let paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
        let live = "performance.getEntriesByName('kubetab-live')[0]?.startTime";
        let number = |value: Value| value.as_f64().expect("a time in milliseconds");
        let paint = number(self.until("something is painted", paint).await);
        (paint, number(self.until("the live cluster is painted", live).await))
    }

    /// Writes what the window shows to `target/screenshots/NAME.png`.
    pub async fn screenshot(&self, name: &str) {
        assert!(self.try_screenshot(name).await, "no screenshot {name}");
    }

    async fn try_screenshot(&self, name: &str) -> bool {
        let folder = project().join("target/screenshots");
        let file = folder.join(format!("{name}.png"));
        let written = std::fs::create_dir_all(&folder).is_ok() && self.driver.screenshot(&file).await.is_ok();
        if written {
            println!("screenshot: target/screenshots/{name}.png");
        }
        written
    }

    /// Says that an error whose text contains `part` may appear in this browser's console.
    pub fn expect_console_error(&self, part: &str) {
        self.expected_errors.borrow_mut().push(part.to_owned());
    }

    async fn console_errors(&self) -> Vec<String> {
        let entries = self.get_log("browser").await.unwrap_or_default();
        let expected = self.expected_errors.borrow();
        let unexpected = entries
            .into_iter()
            .filter(|entry| entry.level == "SEVERE" && !expected.iter().any(|part| entry.message.contains(part)));
        unexpected.map(|entry| entry.message).collect()
    }
}

/// Copies files of `dist/` into a folder.
fn copy_what_is_not_there(folder: &Path, wanted: impl Fn(&str) -> bool) {
    for file in std::fs::read_dir(project().join("dist")).expect("dist/ is there").filter_map(Result::ok) {
        let name = file.file_name();
        let to = folder.join(&name);
        if wanted(&name.to_string_lossy()) && !to.exists() {
            std::fs::copy(file.path(), to).expect("there is room for a copy");
        }
    }
}

/// The project's folder, where `make` runs.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Starts a process and waits for the line on its standard output that contains `sign`.
async fn start(mut command: Command, sign: &str) -> (Child, String) {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdout(Stdio::piped()).stdin(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{program} does not start: {error}. Install what the tests need: make setup-test")
    });
    let mut lines = BufReader::new(child.stdout.take().expect("piped above")).lines();
    while let Some(line) = lines.next_line().await.expect("its output is text") {
        if line.contains(sign) {
            // Whatever it prints later is read away, so that it never waits for a reader.
            tokio::task::spawn_local(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (child, line);
        }
    }
    panic!("{program} ended before it said {sign:?}");
}

fn capabilities(screen: Screen, profile: &Path) -> ChromeCapabilities {
    let mut capabilities = DesiredCapabilities::chrome();
    let profile = format!("--user-data-dir={}", profile.display());
    for flag in webdriver_flags().iter().map(String::as_str).chain([profile.as_str(), "--lang=en"]) {
        capabilities.add_arg(flag).expect("a flag is text");
    }
    // Of the page itself: a window's size would include the browser's own bars.
    let metrics = match screen {
        Screen::Desktop => json!({ "width": 1440, "height": 900, "pixelRatio": 1.0, "mobile": false, "touch": false }),
        Screen::Phone => json!({ "width": 390, "height": 844, "pixelRatio": 2.0, "mobile": true, "touch": true }),
    };
    let emulation = json!({ "deviceMetrics": metrics });
    capabilities.add_experimental_option("mobileEmulation", emulation).expect("it is JSON");
    capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).expect("a level is JSON");
    capabilities
}

/// The browser's flags, which the wasm tests use as well.
fn webdriver_flags() -> Vec<String> {
    let file = std::fs::read_to_string(project().join("webdriver.json")).expect("webdriver.json is there");
    let value: Value = serde_json::from_str(&file).expect("webdriver.json is JSON");
    serde_json::from_value(value["goog:chromeOptions"]["args"].clone()).expect("its args are strings")
}

fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value != &json!(0) && value != &json!("")
}
