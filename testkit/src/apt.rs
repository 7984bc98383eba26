//! A private view of apt, which leaves the system's own alone.
//!
//! It has one suite of one mirror, its own lists and nothing installed. The mirror is one that the
//! system's sources name, and what comes from it is checked with the system's keyring.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, iter};

use crate::error::Error;
use crate::home::{list, write};
use crate::log::last_lines;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A private view of one suite of one mirror.
pub(crate) struct Apt {
    options: Vec<String>,
}

impl Apt {
    pub(crate) fn new(dir: &Path, mirror: &str, suite: &str) -> Result<Self, Error> {
        let (sources, status) = (dir.join("sources.list"), dir.join("status"));
        let signed = if Path::new(KEYRING).exists() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new() // then whatever keys the system trusts
        };
        write(
            &sources,
            format!("deb {signed}{mirror} {suite} main\n").as_bytes(),
        )?;
        write(&status, b"")?;
        let options = [
            format!("Dir::Etc::SourceList={}", sources.display()),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::Preferences=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}", dir.join("lists").display()),
            format!("Dir::State::Status={}", status.display()),
            format!("Dir::Cache={}", dir.join("cache").display()),
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "APT::Update::Error-Mode=any".to_owned(), // else a list that fails is a warning
        ];
        Ok(Self {
            options: options.into(),
        })
    }

    pub(crate) fn run(
        &self,
        program: &str,
        arguments: &[&str],
        dir: &Path,
    ) -> Result<String, Error> {
        let options = self
            .options
            .iter()
            .flat_map(|option| ["-o", option.as_str()]);
        let all = iter::once("-q")
            .chain(options)
            .chain(arguments.iter().copied());
        run(Command::new(program).args(all).current_dir(dir))
    }
}

/// The mirror to download from: `ZK_TESTKIT_MIRROR`, or the first Debian mirror of the system's apt
/// sources.
pub(crate) fn mirror() -> Option<String> {
    if let Some(set) = env::var("ZK_TESTKIT_MIRROR")
        .ok()
        .filter(|set| !set.is_empty())
    {
        return Some(set);
    }
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let more = list(Path::new("/etc/apt/sources.list.d")).unwrap_or_default();
    let read = |path: &PathBuf| {
        path.extension()
            .is_some_and(|end| end == "list" || end == "sources")
    };
    files.extend(more.into_iter().filter(read));
    files
        .iter()
        .find_map(|file| mirror_in(&fs::read_to_string(file).ok()?))
}

/// The first Debian mirror in the text of a sources file, in either of apt's two formats.
fn mirror_in(text: &str) -> Option<String> {
    let words = text.lines().filter_map(|line| {
        let line = line.trim();
        let rest = line
            .strip_prefix("URIs:")
            .or_else(|| line.strip_prefix("deb "))?;
        Some(rest.split_whitespace())
    });
    words
        .flatten()
        .find(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    command.stdin(Stdio::null()).env("LC_ALL", "C");
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(Error::io(format!("run {name}: is it installed?")))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy());
    let command = iter::once(name.as_str().into())
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ");
    let complaint = String::from_utf8_lossy(&output.stderr);
    let output = if complaint.trim().is_empty() {
        printed
    } else {
        complaint.into_owned()
    };
    Err(Error::Command {
        command,
        output: last_lines(&output, 15),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_found_in_both_formats() {
        let new = "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\n";
        assert_eq!(
            mirror_in(new).as_deref(),
            Some("http://mirror.example/debian")
        );
        let old = "# deb http://no.example/debian x main\n\
                   deb http://security.example/debian-security x main\n\
                   deb [signed-by=/x.gpg] https://mirror.example/debian/ x main\n";
        assert_eq!(
            mirror_in(old).as_deref(),
            Some("https://mirror.example/debian/")
        );
        assert_eq!(mirror_in("deb http://other.example/ubuntu x main\n"), None);
    }
}
