from django.conf import settings
from django.http import HttpResponse
from django.templatetags.static import static

from orders.models import Order


def index(request):
    Order.objects.create(name="a book")
    (settings.MEDIA_ROOT / "last.txt").write_text("a book")
    style = static("orders/page.css")
    return HttpResponse(f"Hello from django: {Order.objects.count()} order, {style}")


def health(request):
    return HttpResponse("well")
