//! Handles corpora: see [`HELP`].

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command speaks on its output")]

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use zk_fuzz_bodies::{TARGETS, corpus, model_case, seeds, session_case, watches_case};

const HELP: &str = "\
corpus COMMAND

  seeds TARGET DIR    writes the seeds of a target, each as a file below DIR
  unpack FILE DIR     writes the inputs of a packed corpus, each as a file below DIR
  pack DIR FILE       packs all files of DIR
  run TARGET FILE..   runs inputs, without a fuzzer; of model, session_ops and session_watches, shows the steps first
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprint!("{HELP}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("corpus: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command; `false` if there is none of this name.
fn run(words: &[&str]) -> io::Result<bool> {
    match words {
        ["seeds", target, dir] => corpus::spread(&seeds::seeds(target), Path::new(dir))?,
        ["unpack", file, dir] => {
            corpus::spread(&corpus::unpack(&fs::read(file)?)?, Path::new(dir))?;
        }
        ["pack", dir, file] => {
            let packed = corpus::pack(corpus::gather(Path::new(dir))?);
            println!("{file}: {} bytes", packed.len());
            fs::write(file, packed)?;
        }
        ["run", target, files @ ..] => {
            let Some((_, body)) = TARGETS.iter().find(|(name, _)| name == target) else {
                return Ok(false);
            };
            for file in files {
                let input = fs::read(file)?;
                println!("{file}: {} bytes", input.len());
                match *target {
                    "model" => println!("{:#?}", model_case(&input)),
                    "session_ops" => println!("{:#?}", session_case(&input)),
                    "session_watches" => println!("{:?}", watches_case(&input)),
                    _ => {}
                }
                body(&input);
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}
