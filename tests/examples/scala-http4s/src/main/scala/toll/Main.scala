package toll

import cats.effect.IOApp

object Main extends IOApp.Simple {
  val port = sys.env.getOrElse("PORT", "8070")
  def run = ???
}
