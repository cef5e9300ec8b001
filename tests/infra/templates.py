"""Queries of a synthesised template."""

import json


def of_type(template, resource_type):
    """Properties of all resources of one type, by logical id."""
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == resource_type
    }


def arn_of(reference):
    """Logical id of the resource in a reference to its ARN."""
    logical_id, attribute = reference["Fn::GetAtt"]
    assert attribute == "Arn"
    return logical_id


def event_of(rule):
    """Event name that a rule matches."""
    (event_name,) = rule["EventPattern"]["detail-type"]
    return event_name


def rules_of_events(template):
    """Rules with a pattern, by event name. The other rule is the schedule of the import monitor."""
    rules = of_type(template, "AWS::Events::Rule").values()
    return {event_of(rule): rule for rule in rules if "EventPattern" in rule}


def consumer_of(template, queue):
    """Function that consumes the queue with the logical id `queue`, and its event source mapping."""
    (mapping,) = (
        mapping
        for mapping in of_type(template, "AWS::Lambda::EventSourceMapping").values()
        if arn_of(mapping["EventSourceArn"]) == queue
    )
    return of_type(template, "AWS::Lambda::Function")[mapping["FunctionName"]["Ref"]], mapping


def functions_by_event(template):
    """Functions by the event of the rule that feeds their queue."""
    return {
        event_name: consumer_of(template, arn_of(rule["Targets"][0]["Arn"]))[0]
        for event_name, rule in rules_of_events(template).items()
    }


def ingestion_queue(template):
    """Logical id of the ingestion queue."""
    (logical_id,) = (
        logical_id for logical_id, queue in of_type(template, "AWS::SQS::Queue").items() if "QueueName" in queue
    )
    return logical_id


def run_functions(template):
    """Functions of the reconciliation with their logical ids, by step."""
    return {
        function["Handler"].split(".")[2]: (logical_id, function)
        for logical_id, function in of_type(template, "AWS::Lambda::Function").items()
        if function["Handler"].startswith("reconciliation.")
    }


def definition_of(template):
    """Definition of the state machine. References become the step of a function, or the logical id of a resource."""
    (machine,) = of_type(template, "AWS::StepFunctions::StateMachine").values()
    steps = {logical_id: step for step, (logical_id, _) in run_functions(template).items()}

    def text(part):
        if isinstance(part, str):
            return part
        logical_id = part.get("Ref") or part["Fn::GetAtt"][0]
        return steps.get(logical_id, logical_id)

    return json.loads("".join(map(text, machine["DefinitionString"]["Fn::Join"][1])))
