//! Start, stop, start again; and what keeps a node from starting.

use engine_proto::v1 as pb;
use engine_proto::v1::kv_client::KvClient;
use engine_server::{Bound, start};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::site::{Site, config, dial, get, put, ready};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_there_after_a_restart() {
    let mut site = Site::one().await;
    site.kv().put(put("a", "1")).await.expect("put");
    let place = site.places.pop().expect("one node");
    let (client, peer) = (place.server.client_address(), place.server.peer_address());
    drop(place.channel);
    place.server.stop().await.expect("a clean stop");

    let mut again = config(1, place.dir.path());
    (again.listen, again.peer_listen) = (client, peer);
    let server = start(again).await.expect("the node starts again");
    let channel = dial(&server);
    ready(&channel).await;
    let read = KvClient::new(channel).get(get("a")).await.expect("get");
    assert_eq!(read.into_inner().row.expect("still there").value, "1");
    server.stop().await.expect("a clean stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_one_folder_are_refused_by_name() {
    let site = Site::one().await;
    let dir = site.places.first().expect("one node").dir.path();
    let Err(refused) = start(config(1, dir)).await else {
        panic!("the folder is in use");
    };
    let message = format!("{refused:#}");
    assert!(message.contains(&dir.display().to_string()), "{message}");
    site.kv()
        .put(put("a", "1"))
        .await
        .expect("the first one serves");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let first = Bound::bind(&config(1, dir.path()))
        .await
        .expect("free ports");
    let mut second = config(2, dir.path());
    second.listen = first.client_address();
    let refused = Bound::bind(&second).await.expect_err("the port is taken");
    let message = format!("{refused:#}");
    assert!(
        message.contains(&first.client_address().to_string()),
        "{message}"
    );
    assert!(message.contains("--listen"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_find_their_way() {
    let site = Site::one().await;
    let mut health = HealthClient::new(site.channel());
    for service in ["", "engine.v1.Kv", "engine.v1.Cluster"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let status = health.check(request).await.expect("a known service");
        assert_eq!(status.into_inner().status, 1, "{service:?} serves");
    }

    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(site.channel())
        .server_reflection_info(futures::stream::iter([list]))
        .await
        .expect("reflection")
        .into_inner();
    let answer = answers.message().await.expect("an answer").expect("one");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("a list of services: {answer:?}");
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    assert!(names.contains(&"engine.v1.Commit".to_owned()), "{names:?}");
    assert!(!names.contains(&"engine.v1.Peer".to_owned()), "{names:?}");

    let peer = engine_proto::v1::peer_client::PeerClient::new(site.channel())
        .vote(pb::PeerRequest::default())
        .await
        .expect_err("peers are not served to clients");
    assert_eq!(peer.code(), tonic::Code::Unimplemented);
    site.stop().await;
}
