package Orchard;
use Mojo::Base 'Mojolicious', -signatures;

sub startup ($self) {
  $self->routes->get('/' => sub ($c) { $c->render(json => {trees => 12}) });
}

1;
