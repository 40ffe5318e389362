//! What is made before the program is compiled: the schemas that the HTTP door serves at `/openapi`, from those of
//! `k8s-openapi`. Without the feature `serve` nothing is made, and none of it is built.

#[cfg(feature = "serve")]
#[path = "src/door/openapi/enums.rs"]
mod enums;
#[cfg(feature = "serve")]
#[path = "src/door/openapi/generate.rs"]
mod generate;
#[cfg(feature = "serve")]
#[allow(dead_code, reason = "the library uses more of it")]
#[path = "src/machinery/order.rs"]
mod order;
#[cfg(feature = "serve")]
#[allow(dead_code, reason = "the library uses more of it")]
#[path = "src/machinery/schema/mod.rs"]
mod schema;

/// Where the library has what is included here.
#[cfg(feature = "serve")]
mod machinery {
    pub(crate) use super::{order, schema};
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "serve")]
    write_schemas();
}

/// Writes each group's schemas into a file of its own, and a file of Rust that includes them.
#[cfg(feature = "serve")]
fn write_schemas() {
    use std::path::PathBuf;

    for source in ["src/door/openapi/enums.rs", "src/door/openapi/enums.txt", "src/door/openapi/generate.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    for source in ["src/machinery/order.rs", "src/machinery/schema"] {
        println!("cargo::rerun-if-changed={source}");
    }
    let directory = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo says where to write"));
    let write = |name: &str, text: String| std::fs::write(directory.join(name), text).expect("cargo's folder is there");
    let schemas = generate::schemas();
    let mut groups = String::new();
    for (number, (version, schemas)) in schemas.groups.into_iter().enumerate() {
        let file = format!("group-{number}.json");
        groups += &format!("    ({version:?}, include_str!(concat!(env!(\"OUT_DIR\"), \"/{file}\"))),\n");
        write(&file, serde_json::Value::Object(schemas).to_string());
    }
    write("metadata.json", serde_json::Value::Object(schemas.metadata).to_string());
    write("second.json", serde_json::Value::Object(schemas.second).to_string());
    let include = |file: &str| format!("include_str!(concat!(env!(\"OUT_DIR\"), \"/{file}\"))");
    write(
        "schemas.rs",
        format!(
            "const GROUPS: &[(&str, &str)] = &[\n{groups}];\nconst METADATA_SCHEMAS: &str = {};\nconst SECOND: &str = {};\n",
            include("metadata.json"),
            include("second.json"),
        ),
    );
}
