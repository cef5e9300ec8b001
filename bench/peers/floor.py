"""Lower bound: one pre-signed request per event. No validation, ordering, retries or logs."""

import functools
import http.client
import json
import os
import socket
from urllib.parse import urlsplit

endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL_DYNAMODB"])
headers = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.UpdateItem",
    "X-Amz-Date": "20260101T000000Z",
    # DynamoDB Local accepts any signature; AWS would accept this one for five minutes, for one body.
    "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/dynamodb/aws4_request, "
    f"SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={'0' * 64}",
}
head = "POST / HTTP/1.1\r\nHost: dynamodb\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
http_connection = http.client.HTTPConnection(endpoint.hostname, endpoint.port)
tcp_connection = functools.cache(socket.create_connection)


def handler(batch, context):
    for record in batch["Records"]:
        http_connection.request("POST", "/", request_body(record), headers)
        response = http_connection.getresponse()
        answer = response.read()
        if response.status != http.client.OK:
            raise RuntimeError(answer)
    return {"batchItemFailures": []}


def raw_handler(batch, context):
    connection = tcp_connection((endpoint.hostname, endpoint.port))
    for record in batch["Records"]:
        body = request_body(record)
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = connection.recv(65536)
        while answer and not answer.endswith(b"}"):
            answer += connection.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(answer)
    return {"batchItemFailures": []}


def request_body(record):
    detail = json.loads(record["body"])["detail"]
    written = detail["body"] | {"event_time": detail["metadata"]["event_time"]}
    request = {
        "TableName": os.environ["ENROLLMENTS_TABLE"],
        "Key": {"enrollment_id": {"S": written.pop("enrollment_id")}},
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in written),
        "ExpressionAttributeNames": {f"#{name}": name for name in written},
        "ExpressionAttributeValues": {
            f":{name}": {"BOOL" if isinstance(value, bool) else "S": value} for name, value in written.items()
        },
    }
    return json.dumps(request)
