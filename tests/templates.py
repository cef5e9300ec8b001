"""Finding things in a synthesised template."""

import json


def of_type(template, resource_type):
    """The properties of every resource of one type, by logical id."""
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == resource_type
    }


def arn_of(reference):
    """The logical id of the resource whose ARN `reference` is."""
    logical_id, attribute = reference["Fn::GetAtt"]
    assert attribute == "Arn"
    return logical_id


def event_of(rule):
    """The Canvas event that a rule matches."""
    (event_name,) = rule["EventPattern"]["detail-type"]
    return event_name


def rules_of_events(template):
    """The rules with a pattern, by event name. The other rule is the import monitor's schedule."""
    rules = of_type(template, "AWS::Events::Rule").values()
    return {event_of(rule): rule for rule in rules if "EventPattern" in rule}


def consumer_of(template, queue):
    """The function that consumes the queue with the logical id `queue`, and the event source mapping between them."""
    (mapping,) = (
        mapping
        for mapping in of_type(template, "AWS::Lambda::EventSourceMapping").values()
        if arn_of(mapping["EventSourceArn"]) == queue
    )
    return of_type(template, "AWS::Lambda::Function")[mapping["FunctionName"]["Ref"]], mapping


def functions_by_event(template):
    """The function of each event: behind the queue behind its rule."""
    return {
        event_name: consumer_of(template, arn_of(rule["Targets"][0]["Arn"]))[0]
        for event_name, rule in rules_of_events(template).items()
    }


def ingestion_queue(template):
    """The logical id of the queue to which Canvas delivers."""
    (logical_id,) = (
        logical_id for logical_id, queue in of_type(template, "AWS::SQS::Queue").items() if "QueueName" in queue
    )
    return logical_id


def run_functions(template):
    """The functions of the reconciliation, by step, and the logical id of each."""
    return {
        function["Handler"].split(".")[2]: (logical_id, function)
        for logical_id, function in of_type(template, "AWS::Lambda::Function").items()
        if function["Handler"].startswith("reconciliation.")
    }


def definition_of(template):
    """The definition of the state machine. A function is named by its step, another resource by its logical id."""
    (machine,) = of_type(template, "AWS::StepFunctions::StateMachine").values()
    steps = {logical_id: step for step, (logical_id, _) in run_functions(template).items()}

    def text(part):
        if isinstance(part, str):
            return part
        logical_id = part.get("Ref") or part["Fn::GetAtt"][0]
        return steps.get(logical_id, logical_id)

    return json.loads("".join(map(text, machine["DefinitionString"]["Fn::Join"][1])))
