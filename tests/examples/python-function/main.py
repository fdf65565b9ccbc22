import functions_framework


def helper(name):
    return name.title()


@functions_framework.http
def greet(request):
    return f"Hello {helper(request.args.get('name', 'you'))}"
