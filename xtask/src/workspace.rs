//! The workspace as cargo describes it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::Error;
use crate::process::{SHORT, capture, cargo};

/// One of the workspace's own packages.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) features: Vec<String>,
    /// Those of them that need a library in C: see `native`.
    pub(crate) native: Vec<String>,
    pub(crate) published: bool,
    pub(crate) rust_version: String,
    id: String,
}

/// A package that others wrote, and the oldest Rust it says it needs.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) rust_version: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// Sorted by name.
    pub(crate) packages: Vec<Package>,
    metadata: Value,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self, Error> {
        let arguments = ["metadata", "--format-version", "1", "--all-features"];
        let text = capture(&mut cargo(&arguments), SHORT)?;
        let metadata: Value = serde_json::from_str(&text).map_err(|error| Error::Unreadable {
            program: "cargo metadata".to_owned(),
            what: error.to_string(),
        })?;
        let members: HashSet<&str> = texts(&metadata["workspace_members"]).collect();
        let mut packages: Vec<Package> = array(&metadata["packages"])
            .filter(|package| members.contains(text_of(&package["id"])))
            .map(package)
            .collect();
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            root: text_of(&metadata["workspace_root"]).into(),
            target: text_of(&metadata["target_directory"]).into(),
            packages,
            metadata,
        })
    }

    /// Everything that users compile along with the published packages.
    pub(crate) fn dependencies(&self) -> Vec<Dependency> {
        let nodes: Vec<&Value> = array(&self.metadata["resolve"]["nodes"]).collect();
        let published = self.packages.iter().filter(|package| package.published);
        let mut reached: Vec<&str> = published.map(|package| package.id.as_str()).collect();
        let mut next = 0;
        while let Some(&id) = reached.get(next) {
            let node = nodes.iter().find(|node| text_of(&node["id"]) == id);
            for dependency in node.into_iter().flat_map(|node| array(&node["deps"])) {
                let id = text_of(&dependency["pkg"]);
                if array(&dependency["dep_kinds"]).any(concerns_users) && !reached.contains(&id) {
                    reached.push(id);
                }
            }
            next += 1;
        }
        let others = array(&self.metadata["packages"]).filter(|package| {
            !package["source"].is_null() && reached.contains(&text_of(&package["id"]))
        });
        let dependency = |package: &Value| Dependency {
            name: format!(
                "{} {}",
                text_of(&package["name"]),
                text_of(&package["version"])
            ),
            rust_version: package["rust_version"].as_str().map(str::to_owned),
        };
        others.map(dependency).collect()
    }

    /// A package's directory, relative to the workspace.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

fn package(value: &Value) -> Package {
    let manifest = Path::new(text_of(&value["manifest_path"]));
    Package {
        name: text_of(&value["name"]).to_owned(),
        dir: manifest.parent().unwrap_or(manifest).to_owned(),
        features: value["features"]
            .as_object()
            .map(|features| features.keys().cloned().collect())
            .unwrap_or_default(),
        native: texts(&value["metadata"]["native"]["features"])
            .map(str::to_owned)
            .collect(),
        published: value["publish"].is_null(),
        rust_version: text_of(&value["rust_version"]).to_owned(),
        id: text_of(&value["id"]).to_owned(),
    }
}

/// Neither for tests nor for the model of the concurrent parts.
fn concerns_users(kind: &Value) -> bool {
    let target = kind["target"].as_str().unwrap_or_default();
    text_of(&kind["kind"]) != "dev" && !target.contains("loom")
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    array(value).filter_map(Value::as_str)
}
