//! Texts that users write: connect strings, paths, credentials; and texts of servers: names of
//! sequential nodes, the configuration of the ensemble.

use bytes::Bytes;
use zk_proto::{
    Acl, Chroot, EnsembleConfig, IntoData, Payload, Perms, Reader, Sequence, ZnodePath,
    is_four_letter, make_digest_acl_credential, parse_hosts, put_buffer, validate_acl,
};

/// A text, read as all that it could be.
///
/// # Panics
/// If a normal form is not its own, or if the parts do not make the whole.
pub fn hosts_string(input: &[u8]) {
    let text = received(input);
    hosts(&text);
    path(&text);
    chroot(&text);
    sequence(&text);
    acl(&text);
    data(&text);
    match EnsembleConfig::parse(&text) {
        Ok(config) => {
            let lines = text.lines().count();
            assert!(config.servers.len() <= lines, "a server a line");
            let named = config.servers.iter().all(|server| !server.host.is_empty());
            assert!(named, "{config:?}");
        }
        Err(error) => drop(error.to_string()),
    }
    if let Some(word) = input.first_chunk() {
        let letters = word.iter().all(u8::is_ascii_lowercase);
        assert!(letters || !is_four_letter(word), "{word:?}");
    }
}

/// A text as it comes in a frame, where bytes need not be UTF-8.
fn received(input: &[u8]) -> String {
    let mut out = Vec::new();
    put_buffer(&mut out, Some(input));
    let frame = Bytes::from(out);
    let mut reader = Reader::new(&frame);
    let text = reader.text("text").expect("it is there").into_owned();
    if let Ok(same) = std::str::from_utf8(input) {
        assert_eq!(text, same);
    }
    text
}

fn hosts(text: &str) {
    let (servers, chroot) = match parse_hosts(text) {
        Ok(parsed) => parsed,
        Err(error) => return drop(error.to_string()),
    };
    let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
    // Spaces at the end of the text are dropped, those of a name are not.
    let again = format!("{}{chroot}/", names.join(","));
    assert_eq!(parse_hosts(&again), Ok((servers, chroot)), "{again:?}");
}

fn path(text: &str) {
    if let Ok(path) = ZnodePath::parse_sequential(text) {
        let again = ZnodePath::parse_sequential(path.as_str());
        assert_eq!(again.as_ref(), Ok(&path));
    }
    let path = match ZnodePath::parse(text) {
        Ok(path) => path,
        Err(error) => {
            assert!(ZnodePath::parse_sequential(text).is_err(), "{text:?}");
            return drop(error.to_string());
        }
    };
    let whole = path.as_str();
    assert!(whole.starts_with('/') && !whole.contains("//"), "{whole:?}");
    assert!(path.is_root() || !whole.ends_with('/'), "{whole:?}");
    assert_eq!(ZnodePath::parse(whole).as_ref(), Ok(&path));
    assert!(path.starts_with("/") && path.starts_with(whole));
    match path.parent() {
        Some(parent) => {
            assert!(path.starts_with(parent.as_str()));
            let joined = parent.join(path.name()).expect("its own name");
            assert_eq!(joined, path);
        }
        None => assert!(path.is_root() && path.name().is_empty()),
    }
    assert_eq!(path.clone().into_owned().into_cow(), whole);
}

fn chroot(text: &str) {
    // Two halves: the chroot, and a path below it.
    let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at));
    let (above, below) = text.split_at(middle.unwrap_or_default());
    let (Ok(chroot), Ok(path)) = (Chroot::parse(above), ZnodePath::parse(below)) else {
        return;
    };
    let full = chroot.full(path.as_str());
    assert_eq!(chroot.strip(&full), Some(path.as_str()));
    let mut out = Vec::new();
    chroot.put_path(path.as_str(), &mut out);
    assert_eq!(&out[4..], full.as_bytes());
    let joined = chroot.join(below).expect("the path was one before");
    assert_eq!(joined.full("/"), full);
    assert!(ZnodePath::parse(&full).is_ok_and(|again| again.as_str() == full));
}

fn sequence(text: &str) {
    let Some((prefix, sequence)) = Sequence::parse_suffix(text) else {
        return;
    };
    assert_eq!(format!("{prefix}{sequence}"), text);
    assert_eq!(Sequence::parse_after(prefix, text), Some(sequence));
    let other = Sequence(sequence.0.wrapping_add(text.len() as i32));
    let order = sequence.wrapping_cmp(other);
    assert_eq!(order, other.wrapping_cmp(sequence).reverse());
    assert_eq!(order.is_eq(), sequence == other);
}

/// Data in every form that users have it in.
fn data(text: &str) {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let payload = Payload::from(bytes.clone());
    let forms = [
        text.into_data(),
        text.as_bytes().into_data(),
        text.to_owned().into_data(),
        text.as_bytes().to_vec().into_data(),
        bytes.into_data(),
        payload.clone().into_data(),
        (&payload).into_data(),
        Some(text).into_data(),
    ];
    for data in forms {
        assert_eq!(data.as_option(), Some(text.as_bytes()));
        assert_eq!(data.as_cow().as_deref(), Some(text.as_bytes()));
        assert!(text.len() < 20 || !format!("{data:?}").contains(text));
        assert_eq!(data.into_owned().as_option(), Some(text.as_bytes()));
    }
    assert!(None::<&str>.into_data().as_option().is_none());
    assert_eq!(payload, text.as_bytes()[..]);
}

fn acl(text: &str) {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let credential = make_digest_acl_credential(user, password);
    assert!(credential.starts_with(user));
    let list = [
        Acl::digest(user, password, Perms(text.len() as i32)),
        Acl::new(Perms::READ, user.to_owned(), password.to_owned()),
    ];
    if let Err(error) = validate_acl(&list) {
        drop(error.to_string());
    }
    let mut out = Vec::new();
    list[0].encode(&mut out);
    let frame = Bytes::from(out);
    assert_eq!(Acl::decode(&mut Reader::new(&frame)).as_ref(), Ok(&list[0]));
    let _ = format!("{list:?} {}", list[0].perms);
}
