//! The command line.

use crate::error::Error;
use crate::handler::Kind;

const USAGE: &str = "\
zk-bench [options]

  --handler H      raw, threads, tokio, tokio-mt, smol or smol-executor; more than one may be given,
                   and all are measured unless one is
  --rounds N       how often each is measured; default 5
  --operations N   pipelined operations a round, of serial ones a tenth; default 200000
  --hosts HOSTS    a server that is there; default one of ours, in another process
  --limit X        fail if a pipelined get takes more than X times the CPU of that on threads";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) rounds: usize,
    pub(crate) operations: usize,
    pub(crate) hosts: Option<String>,
    pub(crate) limit: Option<f64>,
}

impl Options {
    pub(crate) fn parse(words: &[String]) -> Result<Self, Error> {
        let usage = || Error::Usage(USAGE.to_owned());
        let mut options = Self {
            kinds: Vec::new(),
            rounds: 5,
            operations: 200_000,
            hosts: None,
            limit: None,
        };
        for pair in words.chunks(2) {
            let [name, value] = pair else {
                return Err(usage());
            };
            match name.as_str() {
                "--handler" => {
                    let mut known = Kind::ALL.into_iter();
                    let kind = known.find(|kind| kind.to_string() == *value);
                    options.kinds.push(kind.ok_or_else(usage)?);
                }
                "--rounds" => options.rounds = value.parse().map_err(|_| usage())?,
                "--operations" => options.operations = value.parse().map_err(|_| usage())?,
                "--hosts" => options.hosts = Some(value.clone()),
                "--limit" => options.limit = Some(value.parse().map_err(|_| usage())?),
                _ => return Err(usage()),
            }
        }
        if options.kinds.is_empty() {
            options.kinds.extend(Kind::ALL);
        }
        if options.rounds == 0 || options.operations < 10 {
            return Err(usage());
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Error> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn everything_has_a_default() {
        let options = parse("").unwrap();
        assert_eq!((options.kinds.len(), options.rounds), (Kind::ALL.len(), 5));
        let options = parse("--handler tokio-mt --rounds 3 --limit 2").unwrap();
        assert_eq!(options.kinds, [Kind::TokioMultiThread]);
        assert_eq!((options.rounds, options.limit), (3, Some(2.0)));
        for wrong in [
            "--handler",
            "--handler none",
            "--rounds 0",
            "--rounds x",
            "what is",
        ] {
            parse(wrong).unwrap_err();
        }
    }
}
