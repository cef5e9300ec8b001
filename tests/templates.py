"""Finding things in a synthesised template."""


def of_type(template, resource_type):
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == resource_type
    }


def function_of(rule):
    (target,) = rule["Targets"]
    return target["Arn"]["Fn::GetAtt"][0]


def event_of(rule):
    (event_name,) = rule["EventPattern"]["detail"]["metadata"]["event_name"]
    return event_name
