"""`typical` with GetItem, a comparison of times and PutItem: keeps events in order without concurrent writers."""

from typical import batch_handler, log_stored, table


def store(record):
    item = record.body.detail.item()
    key = {"enrollment_id": item["enrollment_id"]}
    stored = table.get_item(Key=key, ConsistentRead=True).get("Item")
    if not stored or stored["event_time"] < item["event_time"]:
        table.put_item(Item=item)
        log_stored(item["enrollment_id"])


handler = batch_handler(store)
