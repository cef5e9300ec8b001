"""The floor: one HTTP request with a signature made beforehand, and nothing else. No validation, no order, no retry."""

import http.client
import json
import os
from urllib.parse import urlsplit

_endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL_DYNAMODB"])
_connection = http.client.HTTPConnection(_endpoint.hostname, _endpoint.port)
# DynamoDB Local takes any signature; AWS would take this one for five minutes, for this one body.
_headers = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.UpdateItem",
    "X-Amz-Date": "20260101T000000Z",
    "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
    "Signature=0000000000000000000000000000000000000000000000000000000000000000",
}


def handler(event, context):
    body = event["detail"]["body"]
    written = {name: value for name, value in body.items() if name != "enrollment_id"}
    request = {
        "TableName": os.environ["ENROLLMENTS_TABLE"],
        "Key": {"enrollment_id": {"S": body["enrollment_id"]}},
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in written),
        "ExpressionAttributeNames": {f"#{name}": name for name in written},
        "ExpressionAttributeValues": {
            f":{name}": {"BOOL": value} if isinstance(value, bool) else {"S": value} for name, value in written.items()
        },
    }
    _connection.request("POST", "/", json.dumps(request), _headers)
    answer = _connection.getresponse()
    said = answer.read()
    if answer.status != http.client.OK:
        raise RuntimeError(said.decode())
