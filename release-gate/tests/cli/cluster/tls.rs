//! The cluster over TLS: its own CA, or one certificate.

use testkit::Proxmox;
use testkit::proxy::Proxy;
use testkit::tls::{Shown, Tls};

use super::*;

fn secured(shown: Shown) -> Tls {
    let cluster = Cluster::default();
    Tls::start_as(shown, move |request| cluster.answer(request))
}

fn trusting(tls: &Tls, trust: &str) -> (i32, Value, String) {
    Shop::asking(&tls.url(), &format!("{ALL}{trust}\n")).ask()
}

#[test]
fn a_ca_of_the_cluster_is_trusted_in_place_of_the_system() {
    let (tls, other) = (secured(Shown::Signed), secured(Shown::Signed));
    let ca = |tls: &Tls| format!("ca_file = '{}'", tls.ca().display());
    let (code, _, said) = trusting(&tls, &ca(&tls));
    assert_eq!(code, 0, "{said}");
    let (expired, elsewhere, alone) =
        (secured(Shown::Expired), secured(Shown::Elsewhere), secured(Shown::SelfSigned));
    for (tls, trust) in [
        (&tls, ca(&other)),
        (&tls, String::new()),
        (&elsewhere, ca(&elsewhere)),
        (&alone, ca(&alone)),
        (&expired, ca(&expired)),
    ] {
        let sent = tls.server.log().len();
        let (code, went, said) = trusting(tls, &trust);
        assert_eq!((code, &went["facts"]["cluster"]["verdict"]), (1, &json!("unknown")), "{said}");
        assert!(said.contains("is not trusted") && said.contains("cluster.ca_file"), "{said}");
        assert_eq!(tls.server.log().len(), sent, "nothing was sent to who is not trusted");
    }
}

#[test]
fn a_ca_that_is_no_small_file_is_said_at_once() {
    let (tls, folder) = (secured(Shown::Signed), tempfile::tempdir().expect("a folder"));
    let pipe = folder.path().join("ca.pem");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    for path in [pipe.as_path(), std::path::Path::new("/dev/zero"), folder.path()] {
        let (code, _, said) = trusting(&tls, &format!("ca_file = '{}'", path.display()));
        assert_eq!(code, 78, "{said}");
        assert!(said.contains("cluster.ca_file") && said.contains("it is no regular file"), "{said}");
    }
}

#[test]
fn the_certificate_that_is_named_is_taken_whatever_it_says_and_no_other() {
    for shown in [Shown::SelfSigned, Shown::Expired, Shown::Elsewhere, Shown::Signed] {
        let tls = secured(shown);
        let print = tls.fingerprint();
        for print in [print.clone(), print.to_lowercase(), print.replace(':', "")] {
            let (code, _, said) = trusting(&tls, &format!("fingerprint = '{print}'"));
            assert_eq!(code, 0, "{shown:?}: {said}");
        }
        let other = secured(shown);
        let sent = tls.server.log().len();
        let (code, went, said) = trusting(&tls, &format!("fingerprint = '{}'", other.fingerprint()));
        assert!(code == 78 && went["facts"]["cluster"].is_null(), "{shown:?}: {code} {said}");
        assert!(
            said.contains(&format!("another certificate, with the SHA-256 {print}: take it only")),
            "{print}: {said}"
        );
        assert!(went["failure"]["message"].as_str().is_some_and(|text| text.contains(&print)), "{went}");
        assert_eq!(tls.server.log().len(), sent, "nothing was sent to it");
    }
    // Who shows the right certificate without its key is somebody else.
    for shown in [Shown::Borrowed, Shown::BorrowedOld] {
        let tls = secured(shown);
        let (code, went, said) = trusting(&tls, &format!("fingerprint = '{}'", tls.fingerprint()));
        assert_eq!((code, &went["facts"]["cluster"]["verdict"]), (1, &json!("unknown")), "{said}");
        assert!(said.contains("is not trusted"), "{said}");
        assert_eq!(tls.server.log().len(), 0, "{said}");
    }
}

#[test]
fn the_certificate_is_looked_at_through_a_proxy_too_and_connections_are_kept() {
    let tls = secured(Shown::SelfSigned);
    tls.server.keep_alive();
    let proxy = Proxy::start();
    for (print, code) in [(tls.fingerprint(), 0), ("AB".repeat(32), 78)] {
        let shop = Shop::asking(&tls.url(), &format!("{ALL}fingerprint = '{print}'\n"));
        let before = tls.server.connections();
        let mut command = shop.command();
        let address = format!("http://127.0.0.1:{}", proxy.port());
        let (got, _, said) =
            asked(command.env("HTTPS_PROXY", address).env_remove("NO_PROXY").env_remove("no_proxy"));
        assert_eq!(got, code, "{said}");
        assert_eq!(tls.server.connections(), before + 1, "five questions, one connection: {said}");
    }
    assert_eq!(proxy.seen().len(), 2);
}

#[test]
fn the_secret_stands_in_a_file_as_well() {
    let proxmox = Proxmox::start();
    let shop = Shop::asking(&proxmox.server().url(), "nodes = 'pve1'\n");
    let file = shop.folder.path().join("token");
    testkit::write_private(&file, &format!("{TOKEN}\n"));
    let (code, _, said) = asked(shop.command().env_remove("PROXMOX_TOKEN").env("PROXMOX_TOKEN_FILE", &file));
    assert_eq!(code, 0, "{said}");
}
